"""A folder watched for new releases: found complete, checked, cut, ingested and pre-labelled with nobody present.

Read `watching` first.
"""
