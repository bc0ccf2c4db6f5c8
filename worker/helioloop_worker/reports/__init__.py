"""Reports about a project or a model folder, as the commands print and write them. Read-only.

`status` builds the page of ``helioloop status`` from `status_facts`, which `status_reading` reads, with `verdict` (what
is found: `mending` or `next_work`), `service_lines` and `release_lines`. `service_facts` are what Redis holds,
`job_status` the running and failed jobs, `reading` what was read from each release, and `audit` the labels verified and
found wrong, round by round; `redaction` hides secrets in other programs' messages. `scored` is what the published
version says about a project; catalogue and report are made from it. `catalogue` describes all cubes, calibrated on the
audit sample (`calibration`). `catalogue_files` writes it in four formats, with `catalogue_table` (rows, CSV),
`catalogue_columns` (units, UCDs, times) and `provenance`. `versions` and `science` build the tables that ``helioloop
versions``, ``campaign`` and ``compare`` print. `report` makes the page of ``helioloop report``, from `report_sections`
and `report_gallery`, with `human_work`, `figures` (drawn by `svg`) and `contact_strip`; `project_now` is the state that
annotators see, with `round_progress`; `page` renders both.
"""
