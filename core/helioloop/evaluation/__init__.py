"""Figures computed from scores and labels: quality of scores, promotion, audit, calibration, risk control. No torch.

Read `metrics` first (scores against a truth). `promotion` compares two versions. `audit` follows a verification
campaign, with `audit_order` and `estimates`. `audit_sample` reads the random sample that `calibration` and
`risk_control` are based on. `drift` compares a new release with those trained on.
"""
