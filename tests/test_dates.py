"""Due dates: what the settings say, how late somebody is, and what it costs."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from nbgrader.utils import parse_utc

from autograder.course.course import CourseError, Homework, open_course
from autograder.course.dates import Lateness, lateness, term
from autograder.course.late_rules import LateRules, due_in, penalty
from autograder.course.roster import Student
from autograder.submission.timestamp import moment, read_stamp

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [
    ZoneInfo(name)
    for name in ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "UTC")
]
RULES = LateRules(per_day=10, most_days=3, grace_minutes=10, free_days=4)
FRIDAY = datetime(2026, 11, 20, 23, 59, tzinfo=BERLIN)


def homework(due: datetime | None = FRIDAY, rules: LateRules = RULES, name: str = "hw1") -> Homework:
    return Homework(name=name, root=Path(), title="", notebooks=(), limits=None, due=due, late=rules)  # type: ignore[arg-type]


def late_by(rules: LateRules = RULES, used: int = 0, due: datetime = FRIDAY, **time: float) -> Lateness:
    return lateness(homework(due, rules), None, due.astimezone(UTC) + timedelta(**time), used)


def having(extra_days: str) -> Student:
    return Student({"id": "jane", "extra_days": extra_days})


def some_moment(chance: random.Random, zone: ZoneInfo) -> datetime:
    """Any minute of two years; every second one within a day of a change of clocks in some zone."""
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    minutes = chance.randrange(2 * 365 * 24 * 60)
    if chance.random() < 0.5:
        change = chance.choice([datetime(2026, 3, 29, 1), datetime(2026, 10, 25, 1), datetime(2026, 11, 1, 6)])
        begin, minutes = change.replace(tzinfo=UTC), chance.randrange(-24 * 60, 24 * 60)
    return (begin + timedelta(minutes=minutes)).astimezone(zone)


# ---- how late ----


def test_days_are_counted_in_24_hours_after_the_due_date_wherever_and_whenever_it_is() -> None:
    chance = random.Random(1)
    for _ in range(3000):
        due = some_moment(chance, chance.choice(ZONES))
        rules = LateRules(grace_minutes=chance.choice([0, 10, 59.5]))
        seconds = chance.choice(
            [chance.randrange(-(10**5), 10**6), chance.randrange(6) * 86400 + chance.choice([0, 1])]
        )
        submitted = (due.astimezone(UTC) + timedelta(seconds=seconds)).astimezone(chance.choice(ZONES))
        expected = next(
            days
            for days in range(99)
            if submitted.timestamp() <= due.timestamp() + 60 * rules.grace_minutes + days * 86400
        )
        assert lateness(homework(due, rules), None, submitted).days == expected


def test_later_never_costs_less() -> None:
    chance = random.Random(2)
    for _ in range(300):
        rules = LateRules(
            per_day=chance.choice([0, 7.5, 50]),
            most_days=chance.choice([None, 0, 2]),
            grace_minutes=chance.choice([0, 15]),
            free_days=chance.choice([0, 1, 5]),
        )
        hours = sorted(chance.uniform(-10, 200) for _ in range(20))
        costs = [late_by(rules, hours=hour).per_cent for hour in hours]
        assert costs == sorted(costs)


@pytest.mark.parametrize(
    ("minutes", "days"),
    [(-1, 0), (0, 0), (10, 0), (10.01, 1), (24 * 60 + 10, 1), (24 * 60 + 10.01, 2), (3 * 24 * 60 + 10, 3)],
)
def test_grace_is_granted_at_the_end_of_each_day(minutes: float, days: int) -> None:
    assert late_by(minutes=minutes).days == days


@pytest.mark.parametrize(("days", "per_cent"), [(1, 10), (2, 20), (3, 30), (3.1, 100)])
def test_what_is_later_than_most_days_counts_0(days: float, per_cent: float) -> None:
    assert late_by(LateRules(per_day=10, most_days=3), days=days).per_cent == per_cent


def test_no_more_than_everything_is_taken_off() -> None:
    assert late_by(LateRules(per_day=40), days=3).per_cent == 100


def test_a_day_on_which_clocks_go_back_has_24_hours_all_the_same() -> None:
    due = datetime(2026, 10, 24, 23, 59, tzinfo=BERLIN)
    handed_in = datetime(2026, 10, 25, 23, 30, tzinfo=BERLIN)  # 24 hours and 31 minutes later
    assert lateness(homework(due, LateRules()), None, handed_in).days == 2


@pytest.mark.parametrize("due", [datetime(2026, 10, 25, 2, 30), datetime(2026, 3, 29, 2, 30)])
def test_a_due_time_that_clocks_show_twice_or_never_is_the_later_reading(due: datetime) -> None:
    assert due_in(BERLIN, due).astimezone(UTC) == due.replace(hour=1, tzinfo=UTC)


def test_extra_days_end_at_the_same_time_of_day_unless_clocks_leave_it_out() -> None:
    chance = random.Random(3)
    for _ in range(2000):
        zone = chance.choice(ZONES)
        due, days = some_moment(chance, zone), chance.randrange(1, 9)
        found = lateness(homework(due), having(str(days)), None).due
        assert found is not None
        clock = (due + timedelta(days=days)).replace(tzinfo=None)
        exists = any(
            clock.replace(tzinfo=zone, fold=fold).astimezone(UTC).astimezone(zone).replace(tzinfo=None) == clock
            for fold in (0, 1)
        )
        assert (found.replace(tzinfo=None) == clock) is exists


def test_extra_days_that_end_when_clocks_leave_an_hour_out_end_after_it() -> None:
    due = datetime(2026, 3, 28, 2, 30, tzinfo=BERLIN)
    found = lateness(homework(due), having("1"), None).due
    assert found is not None and (found.hour, found.minute) == (3, 30)


def test_an_extension_is_the_time_that_really_passes() -> None:
    due = datetime(2026, 10, 24, 23, 59, tzinfo=BERLIN)
    assert lateness(homework(due), having("1,5"), None).extension == timedelta(days=1.5, hours=1)


def test_half_an_extra_day_is_half_a_day() -> None:
    submitted = FRIDAY + timedelta(hours=12)
    assert [lateness(homework(), having(days), submitted).days for days in ("0.5", "0.4")] == [0, 1]


@pytest.mark.parametrize("due", [FRIDAY, None])
def test_nobody_is_late_without_a_moment_of_submission(due: datetime | None) -> None:
    found = lateness(homework(due), having("2"), None)
    assert (found.days, found.per_cent, penalty(7, found.per_cent)) == (0, 0, 0)


def test_nobody_is_late_without_a_due_date() -> None:
    found = lateness(homework(None), None, FRIDAY)
    assert (found.days, found.per_cent, found.sentence) == (0, 0, "")


def test_a_moment_without_a_zone_is_in_utc() -> None:
    naive = datetime(2026, 11, 20, 23, 30)
    assert lateness(homework(), None, naive) == lateness(homework(), None, naive.replace(tzinfo=UTC))


# ---- what it costs ----


def test_a_penalty_is_never_negative_nor_more_than_the_points() -> None:
    chance = random.Random(4)
    for _ in range(2000):
        found = late_by(LateRules(per_day=chance.uniform(0, 100)), days=chance.randrange(9))
        points = chance.choice([0.0, 1 / 3, 2 / 3, chance.uniform(-1, 100)])
        assert 0 <= penalty(points, found.per_cent) <= max(points, 0)


def test_a_penalty_is_a_share_of_the_points_to_four_digits() -> None:
    assert penalty(2.3335, late_by(LateRules(per_day=10), hours=1).per_cent) == pytest.approx(0.2334, abs=1e-9)


def test_two_sums_of_the_same_points_cost_the_same() -> None:
    """0.1 + 0.2 and 0.3 differ in their last bits, and would be rounded to different sides."""
    found = late_by(LateRules(per_day=50), hours=1)
    chance = random.Random(5)
    for _ in range(2000):
        points = [round(chance.uniform(0, 5), 4) for _ in range(9)]
        assert penalty(sum(points), found.per_cent) == penalty(sum(reversed(points)), found.per_cent)


def test_all_points_are_taken_off_what_counts_0() -> None:
    points = 2 / 3
    assert penalty(points, late_by(LateRules(most_days=0), hours=1).per_cent) == points


# ---- free days ----


def some_term(chance: random.Random) -> tuple[list[Homework], dict[str, datetime | None]]:
    rules = LateRules(per_day=10, most_days=chance.choice([None, 3]), free_days=chance.randrange(6))
    homeworks = [homework(FRIDAY + timedelta(days=7 * week), rules, f"hw{week}") for week in range(5)]
    submitted = {
        one.name: one.due + timedelta(hours=chance.uniform(-50, 120)) if one.due and chance.random() < 0.9 else None
        for one in homeworks
    }
    return homeworks, submitted


def test_free_days_are_the_same_in_whatever_order_homeworks_are_listed() -> None:
    chance = random.Random(6)
    for _ in range(300):
        homeworks, submitted = some_term(chance)
        shuffled = chance.sample(homeworks, len(homeworks))
        assert term(shuffled, None, submitted) == term(homeworks, None, submitted)


def test_all_free_days_together_are_those_of_the_term_or_all_that_are_of_use() -> None:
    chance = random.Random(7)
    for _ in range(300):
        homeworks, submitted = some_term(chance)
        found = term(homeworks, None, submitted).values()
        useful = sum(one.days for one in found if one.per_cent < 100)
        assert sum(one.free_days for one in found) == min(useful, homeworks[0].late.free_days)


def test_a_later_homework_takes_no_free_day_from_an_earlier_one() -> None:
    chance = random.Random(8)
    for _ in range(300):
        homeworks, submitted = some_term(chance)
        before = term(homeworks, None, submitted)
        after = term(homeworks, None, submitted | {"hw4": None})
        assert all(before[name] == after[name] for name in ("hw0", "hw1", "hw2", "hw3"))


def test_no_free_day_goes_to_what_is_too_late_to_count() -> None:
    assert late_by(days=4).free_days == 0


def test_no_free_day_goes_to_what_costs_nothing() -> None:
    assert late_by(LateRules(free_days=4), days=1).free_days == 0


def test_free_days_count_among_the_most_days() -> None:
    assert [late_by(used=0, days=day).per_cent for day in (3, 4)] == [0, 100]


# ---- what the student reads ----


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (
            late_by(used=3, days=1, hours=3),
            "Handed in 1 day and 3 hours after Friday, 20 November 2026, 23:59 (Europe/Berlin): 2 days late, 1 of them "
            "free; 10 % of your points are taken off. You have no free day left.",
        ),
        (
            late_by(days=1),
            "Handed in 1 day after Friday, 20 November 2026, 23:59 (Europe/Berlin): 1 day late, free; nothing is taken "
            "off. You have 3 free days left.",
        ),
        (
            late_by(minutes=5),
            "Handed in 5 minutes after Friday, 20 November 2026, 23:59 (Europe/Berlin): on time, because up to 10 "
            "minutes are forgiven.",
        ),
        (late_by(hours=-1), "Handed in on time. It was due on Friday, 20 November 2026, 23:59 (Europe/Berlin)."),
        (
            late_by(days=3, seconds=600.5),
            "Handed in 3 days and 10 minutes after Friday, 20 November 2026, 23:59 (Europe/Berlin): 4 days late, but "
            "at most 3 can be. It counts 0.",
        ),
        (
            late_by(LateRules(), due=datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC), seconds=0.5),
            "Handed in 1 second after Thursday, 1 January 2026, 00:00:01 (UTC): 1 day late; nothing is taken off.",
        ),
        (
            late_by(LateRules(most_days=0), hours=1),
            "Handed in 1 hour after Friday, 20 November 2026, 23:59 (Europe/Berlin): 1 day late. It counts 0.",
        ),
        (
            lateness(homework(), having("1"), FRIDAY + timedelta(days=1, hours=1)),
            "Handed in 1 hour after Saturday, 21 November 2026, 23:59 (Europe/Berlin, with your 1 extra day): 1 day "
            "late, free; nothing is taken off. You have 3 free days left.",
        ),
        (
            lateness(homework(), None, None),
            "Due on Friday, 20 November 2026, 23:59 (Europe/Berlin). It is not known when you handed in, so it counts "
            "as on time.",
        ),
    ],
)
def test_the_student_reads_how_late_it_was_and_what_it_costs(found: Lateness, sentence: str) -> None:
    assert found.sentence == sentence


# ---- settings ----


def small(root: Path, course: str = "", homework: str = "") -> Homework:
    (root / "hw1").mkdir(exist_ok=True)
    head = 'id = "c"\ntitle = "C"\nhomeworks = ["hw1"]\nrepository = ""\n'
    (root / "course.toml").write_text(head + course, encoding="utf-8")
    (root / "hw1" / "homework.toml").write_text(f'title = "H"\nnotebooks = []\n{homework}', encoding="utf-8")
    return open_course(root).homework("hw1")


def test_a_course_without_dates_has_none(tmp_path: Path) -> None:
    found = small(tmp_path)
    assert (found.due, found.late) == (None, LateRules())


def test_a_due_date_without_an_offset_is_in_the_zone_of_the_course(tmp_path: Path) -> None:
    assert small(tmp_path, 'timezone = "Europe/Berlin"', "due = 2026-11-20T23:59:00").due == FRIDAY


def test_a_due_date_with_an_offset_is_shown_in_the_zone_of_the_course(tmp_path: Path) -> None:
    found = small(tmp_path, 'timezone = "Europe/Berlin"', "due = 2026-11-20T22:59:00Z")
    assert "23:59 (Europe/Berlin)" in lateness(found, None, None).sentence


def test_a_homework_changes_only_the_rules_that_it_names(tmp_path: Path) -> None:
    found = small(tmp_path, "[late]\nper_day = 10\nmost_days = 3\nfree_days = 4", "[late]\nper_day = 0\n")
    assert found.late == LateRules(per_day=0, most_days=3, free_days=4)


@pytest.mark.parametrize(
    ("course", "homework", "file", "said"),
    [
        ('timezone = "Europe/Berln"', "", "course.toml", "no time zone 'Europe/Berln': write \"Europe/Berlin\""),
        ('timezone = ""', "", "course.toml", "timezone"),
        ('timezone = "../passwd"', "", "course.toml", "timezone"),
        ('timezone = "/etc/passwd"', "", "course.toml", "timezone"),
        ('timezone = "America"', "", "course.toml", "timezone"),
        ('timezone = "a\\u0000b"', "", "course.toml", "timezone"),
        ("timezone = 1", "", "course.toml", "$.timezone"),
        ("[late]\nper_day = 101", "", "course.toml", "$.late.per_day"),
        ("[late]\nper_day = nan", "", "course.toml", "$.late.per_day"),
        ("[late]\nmost_days = 1.5", "", "course.toml", "$.late.most_days"),
        ("[late]\nfree_days = -1", "", "course.toml", "$.late.free_days"),
        ("[late]\nper_week = 1", "", "course.toml", "per_week"),
        ("", "[late]\ngrace_minutes = -1", "homework.toml", "$.late.grace_minutes"),
        ("", "[late]\nfree_days = 1", "homework.toml", "free_days"),
        ("", "due = 2026-11-20", "homework.toml", "due = 2026-11-20T23:59:00"),
        ("", "due = 2026-11-20 18:00 # Friday", "homework.toml:3", "due = 2026-11-20T18:00:00"),
        ("", "due = 2026-11-31T10:00:00", "homework.toml:3", "no such day or time as 2026-11-31T10:00:00: write one"),
        ("", "due = 2026-13-40", "homework.toml:3", "no such day or time as 2026-13-40: write one such as"),
        ("", "due = 2026-11-20 25:30", "homework.toml:3", "no such day or time as 2026-11-20T25:30:00: write one"),
        ("", 'due = "tomorrow"', "homework.toml", "$.due"),
        ("", "due = 0001-01-01T00:00:00", "homework.toml", "due: the year 1 is not in 2000 to 2199"),
        ("", "due = 9999-12-31T23:59:59-10:00", "homework.toml", "due: the year 9999"),
    ],
)
def test_a_wrong_setting_is_told_with_file_and_key(
    tmp_path: Path, course: str, homework: str, file: str, said: str
) -> None:
    with pytest.raises(CourseError) as error:
        small(tmp_path, course, homework)
    assert f"{file}: " in str(error.value) and said in str(error.value)


# ---- timestamp.txt ----


def stamped(folder: Path, data: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "timestamp.txt").write_bytes(data)
    return folder


NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "data",
    [
        b"2026-11-20 12:00:00 UTC",
        b"2026-11-20 12:00:00\r\n",
        b"\n\n2026-11-20T12:00:00Z\n",
        b"2026-11-20 12:00",
        b"2026-11-20 13:00:00 Europe/Berlin\n",
        b"2026-11-20 13:00:00.000000+01:00\n",
        b"2026-11-20 07:00:00 -0500",
        b"2026-11-20 12:00:00,0 GMT",
        b"\xef\xbb\xbf2026-11-20 12:00:00\n",
        "2026-11-20 12:00:00\r\n".encode("utf-16"),
    ],
)
def test_a_timestamp_is_read(tmp_path: Path, data: bytes) -> None:
    found = read_stamp(stamped(tmp_path, data))
    assert (found.time, found.note) == (NOON, "")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" \n",
        b"12",
        b"yesterday",
        b"2026-11-20",
        b"20.11.2026 12:00",
        b"2026-02-30 12:00:00",
        b"0001-01-01 00:00:00+10:00",
        b"9999-12-31 23:59:59-10:00",
        b"2026-11-20 25:00:00",
        b"2026-11-20 12:00:00 Mars/Olympus",
        b"2026-11-20 12:00:00 PST",
        b"2026-11-20 12:00:00 ../../etc",
        b"2026-11-20 12:00:00 +99:99",
        b"2026-11-20 12:00:00\n2026-11-21 12:00:00",
        b"\xff\xfe\x00",
        b"\x80\x81",
        b"\0" * 10**6,
        "２０２６-11-20 12:00:00".encode(),
    ],
)
def test_what_is_no_moment_is_noted(tmp_path: Path, data: bytes) -> None:
    found = read_stamp(stamped(tmp_path, data))
    assert found.time is None and str(tmp_path / "timestamp.txt") in found.note


def test_a_folder_without_a_timestamp_has_no_time_and_no_note(tmp_path: Path) -> None:
    assert (read_stamp(tmp_path).time, read_stamp(tmp_path / "nobody").note) == (None, "")


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("nowhere")])
def test_a_timestamp_that_is_no_file_is_noted(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "timestamp.txt")
    assert "not a file" in read_stamp(tmp_path).note


def test_nbgrader_reads_the_same_moment() -> None:
    chance = random.Random(9)
    for _ in range(1000):
        zone = chance.choice(ZONES)
        time = some_moment(chance, zone).replace(microsecond=chance.randrange(10**6), fold=0)
        time = time.astimezone(UTC).astimezone(zone).replace(fold=0)
        for text in (f"{time.replace(tzinfo=None)} {zone.key}", time.isoformat(), f"{time:%Y-%m-%d %H:%M:%S}"):
            assert moment(text).astimezone(UTC).replace(tzinfo=None) == parse_utc(text)
