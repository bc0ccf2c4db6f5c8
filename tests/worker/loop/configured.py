"""A project whose labelling configuration a test changes."""

from helioloop_worker.labelstudio.project_template import labeling_configuration

OWN = labeling_configuration()

WORDS_RENAMED = OWN.replace('"non-emergence"', '"nothing"').replace(
    '<Choice value="emergence"', '<Choice value="bipole"'
)
