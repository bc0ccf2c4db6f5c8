"""From files to arrays: a release folder of FITS cubes in, gridded cubes and labels out.

Read `cubes` first (`fits` opens a file, `times` reads when its frames were taken), then `gridding` (observed frames
onto the instrument's grid), `cache` and `loader` (a cube by name), `release` and `truth` (the tables beside the cubes,
with `cube_names` and `table_cells` for names and cells as spreadsheets write them), `frame_times` (a grid frame as UTC
and TAI), `inspection` (what was read from a cube, and how) and `reading_table` (its table). A cube is read in steps:
`images` chooses the image, `plausibility` refuses what is not a magnetogram, `quality` finds frames to drop, and
`orientation` turns frames upright, with `limb` as a check. `crude_labels` labels a cube by the place of its first
detection: `first_detection` finds when, `meridian_distance` where on the disk, and `crude_label_tables` writes the
tables. `field_statistics` measures noise and field of a gridded cube.
"""
