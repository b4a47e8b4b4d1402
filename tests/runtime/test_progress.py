import time

from zoo_pipeline.runtime import progress as module
from zoo_pipeline.runtime.progress import GroupNews, Tally, shown


def tally(models=None, epochs=10) -> tuple[Tally, list[float]]:
    now = [0.0]
    return Tally(models or {0: 3, 1: 2}, epochs, clock=lambda: now[0]), now


def test_a_tally_counts_models_times_epochs():
    counted, now = tally()
    assert counted.line() == "0 of 50 model-epochs, 0 of 5 models done, 0 s, end unknown"
    counted.hear(GroupNews(0, 0, "a"))
    counted.hear(GroupNews(0, 4, "a"))
    now[0] = 2.0
    assert (counted.done, counted.total) == (12, 50)
    assert counted.line().startswith("12 of 50 model-epochs, 0 of 5 models done, 2 s, 6.00 model-epochs/s, 6 s to go, ")
    counted.end(0)
    assert counted.line().startswith("30 of 50 model-epochs, 3 of 5 models done, 2 s, 15 model-epochs/s, 1 s to go, ")
    counted.hear(GroupNews(0, 7, "a"))  # late news of a group that is over
    counted.end(1)
    assert counted.line() == "50 of 50 model-epochs, 5 of 5 models done, 2 s, 25 model-epochs/s"


def test_what_was_found_done_does_not_count_as_speed():
    counted, now = tally({7: 1}, epochs=100)
    counted.hear(GroupNews(7, 90, "a"))
    now[0] = 10.0
    assert counted.line() == "90 of 100 model-epochs, 0 of 1 model done, 10 s, end unknown"
    counted.hear(GroupNews(7, 95, "a"))
    assert "95 of 100 model-epochs, 0 of 1 model done, 10 s, 0.50 model-epochs/s, 10 s to go" in counted.line()


def test_a_group_that_is_begun_again_counts_from_where_it_is_now():
    counted, _ = tally()
    for epoch, attempt in ((0, "a"), (6, "a"), (2, "b"), (3, "b")):
        counted.hear(GroupNews(0, epoch, attempt))
    assert counted.done == 9
    assert (counted.retries(0), counted.retries(1)) == (1, 0)


def test_lines_come_also_while_nothing_gets_done_and_once_at_the_end(capsys, monkeypatch):
    monkeypatch.setattr(module, "LINE_EVERY_S", 0.05)
    counted, _ = tally()
    with shown("training", counted):
        while capsys.readouterr().err.count("training: 0 of 50 model-epochs") < 1:
            time.sleep(0.01)
        counted.end(0)
        counted.end(1)
    assert capsys.readouterr().err.splitlines()[-1].startswith("training: 50 of 50 model-epochs, 5 of 5 models done")


def test_a_terminal_gets_a_bar(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    counted, _ = tally({0: 1}, epochs=10)
    with shown("training", counted):
        counted.end(0)
    told = capsys.readouterr().err
    assert "training" in told
    assert "10 of 10 model-epochs" in " ".join(told.split())


def test_nothing_is_shown_where_there_is_nothing_to_do(capsys):
    with shown("training", Tally({}, 10)):
        pass
    assert capsys.readouterr().err == ""
