from zoo_pipeline.runtime.pace import Pace


def test_due_after_so_many_seconds_counted_anew_each_time():
    now = [0.0]
    pace = Pace(10.0, clock=lambda: now[0])
    found = []
    for second in (0.0, 9.9, 10.0, 19.9, 25.0, 34.9, 35.0):
        now[0] = second
        found.append(pace.due())
    assert found == [False, False, True, False, True, False, True]


def test_due_after_so_many_asks_if_that_comes_first():
    now = [0.0]
    pace = Pace(10.0, asks=3, clock=lambda: now[0])
    assert [pace.due() for _ in range(7)] == [False, False, True, False, False, True, False]
    now[0] = 10.0
    assert [pace.due() for _ in range(3)] == [True, False, False]
