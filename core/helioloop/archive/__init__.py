"""From archives to releases: full-disk magnetograms or patches in, cubes that follow regions out.

Reading order:

    observation       one image from a FITS file: field in gauss, quality, and the reason why a file is refused
    observation_time  when it was observed
    solar_wcs         where its pixels are on the Sun
    fulldisk          an observation that shows the whole disk
    regions           the table of regions to follow
    patches           a region's patch on the target grid, averaged from an image
    passages          slots of the grid, and the disk passage in which a slot lies
    spool             what one file gave, kept on disk until the cubes are written
    release           cubes, tables and profile, written from a spool
    making            a run over many files, in several processes, that can be continued
    cutouts           full-disk files to a release
    series            a growing series of full-disk files to a release that grows
    stack             patches, one file per time, to a release
    labelling         crude labels of a release, from its cubes and the table of regions
    recognition       which command takes a file
    release_files     reports on all FITS files in the folder of a release
"""
