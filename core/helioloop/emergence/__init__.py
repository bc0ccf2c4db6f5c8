"""When a region emerged: an ensemble and a cube in, masking curves and an emergence frame with its interval out.

Read `locate` first; it calls `masking` (P(emergence) with later frames frozen), `curve_onset` (the ramp of that curve)
and `flux_onset` (a tenth of the strongest flux rise near it). `ramps` fits flat–linear–flat series.
"""
