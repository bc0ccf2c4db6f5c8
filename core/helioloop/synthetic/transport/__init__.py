"""A second generator, of another kind: the radial field is a grid that flows carry and diffusion spreads.

The first generator moves thousands of magnetic elements. This one solves the equation of surface flux transport on a
grid: differential rotation, meridional flow and convection carry the field, and what no flow resolves diffuses it. The
network is not drawn: it forms where the convection gathers the flux of ephemeral regions and of decayed active regions.
Statistics of regions, the detector of the crude labels, noise, gaps and instruments differ from the first generator,
too, so that a result found on both does not depend on the particulars of one.

Modules in reading order; each imports only from those above it:

    constants     of the Sun
    regions       active regions: bursts of flux whose footpoints move apart, and what is left of old ones
    passage       the numbers that define a cube: regions, tracking, the magnetograph, and the truth
    detection     a detector on one image a day, and the crude label that follows from its finds
    sampling      random passages by seed and index
    varied        random passages whose constants differ from cube to cube
    convection    the supergranular flow, a random velocity potential
    surface       flux transport of a passage's regions
    observation   what the magnetograph records: one like MDI, or one like HMI brought to MDI's scale

All constants of the usual cubes are from the literature and were fixed before any network was trained on these cubes.
"""
