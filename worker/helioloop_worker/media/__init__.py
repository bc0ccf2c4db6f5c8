"""Where Label Studio gets the files of the labelling screen: from a folder that it sees, or from a bucket.

Start with `port`; `choice` chooses by the settings.
"""
