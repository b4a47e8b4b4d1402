from zoo_pipeline.runtime.export_tally import ExportTally
from zoo_pipeline.runtime.progress import shown


def test_an_export_says_how_far_it_is(capsys):
    now = [0.0]
    tally = ExportTally(1_000, clock=lambda: now[0])
    with shown("export", tally):
        tally.done, tally.files, now[0] = 400, 401, 12.0
    assert capsys.readouterr().err == "export: 400 of 1,000 checkpoints in 401 files, 12 s\n"
