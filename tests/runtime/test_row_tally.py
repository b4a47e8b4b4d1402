from zoo_pipeline.runtime.metrics import Figures
from zoo_pipeline.runtime.progress import shown
from zoo_pipeline.runtime.row_tally import BEGUN, RowTally


def test_rows_are_sketched_first_and_compared_afterwards(capsys):
    now = [0.0]
    tally = RowTally(1_000, Figures(), "a", clock=lambda: now[0])
    with shown("analysis", tally):
        tally.hear((BEGUN, 0))
        tally.hear(("sketched", 900))
        tally.hear((BEGUN, 0))  # whoever led it was lost
        tally.hear(("sketched", 600))
        tally.hear(("sketched", 400))
        tally.hear(("compared", 250))
        now[0] = 12.0
        assert (tally.done, tally.total) == (1_250, 2_000)
    assert capsys.readouterr().err == "analysis: 1,000 sketched, 250 compared of 1,000 checkpoints, 12 s\n"
