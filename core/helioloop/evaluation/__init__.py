"""Pure figures: how good scores are, whether a new version is worse, how many labels are still wrong. No torch.

Read `metrics` first (scores against a truth). `promotion` compares two versions, `audit` follows a campaign of
verification, `audit_sample` is the part of it drawn at random, `calibration` and `risk_control` rest on that sample.
"""
