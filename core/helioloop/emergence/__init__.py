"""Emergence frames: from an ensemble and a cube to masking curves and an emergence frame with its interval.

Start with `locate`. It calls `masking` (P(emergence) with later frames frozen), `curve_onset` (the ramp of that curve)
`flux_onset` (10 % of the strongest local flux rise near it) and, where the curve does not
rise, `bipolar_rise` (both polarities growing at one place). `ramps` fits series that are flat, rise and are flat.
"""
