import time

from zoo_pipeline.runtime import progress as module
from zoo_pipeline.runtime.progress import progress


def test_lines_come_also_while_nothing_gets_done_and_once_at_the_end(capsys, monkeypatch):
    monkeypatch.setattr(module, "LINE_EVERY_S", 0.05)
    with progress("training", 1_000, "checkpoints") as advance:
        while capsys.readouterr().err.count("training: 0 of 1,000 checkpoints in") < 1:
            time.sleep(0.01)
        advance(400)
        advance(600)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("training: 1,000 of 1,000 checkpoints in ")
    assert last.endswith(" 0 s to go")


def test_a_terminal_gets_a_bar(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with progress("training", 10, "checkpoints") as advance:
        advance(10)
    assert "10/10" in capsys.readouterr().err
