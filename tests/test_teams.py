"""A team's submission counts for each of its members, and everybody in the roster is graded or named."""

import os

import pytest

from autograder.course.course import CourseError
from autograder.course.roster import read_roster
from autograder.grading.teams import survey_of

ROSTER = "id,name,group\nada,Ada L,Blue Owls\nben,Ben M,Blue Owls\ncleo,Cleo N,Red\ndan,Dan O,\n"


@pytest.fixture
def look(tmp_path):
    """Hand in files of these ages (path: seconds), and look who is graded by whose folder, and who is named."""

    def surveyed(files, students=(), roster=ROSTER):
        for path, age in files.items():
            file = tmp_path / "submitted" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("{}")
            os.utime(file, (age, age))
        (tmp_path / "roster.csv").write_text(roster)
        people = read_roster(tmp_path / "roster.csv")
        found = survey_of(tmp_path / "submitted", "hw1", ("hw1", "hw2"), people, students)
        return {one.student: one.folder.name for one in found.todo}, {one.name: one.why for one in found.absent}

    return surveyed


def test_one_members_submission_is_graded_for_the_whole_team(look):
    graded, absent = look({"ada/hw1/mlp.ipynb": 1})
    assert graded == {"ada": "ada", "ben": "ada"}
    assert set(absent) == {"cleo", "dan"}


def test_a_folder_with_the_teams_name_is_graded_for_its_members_and_is_no_student(look):
    graded, _ = look({"blue_owls/hw1/mlp.ipynb": 1, "cleo/hw1/mlp.ipynb": 1})
    assert graded == {"ada": "blue_owls", "ben": "blue_owls", "cleo": "cleo"}


def test_a_members_own_submission_counts_for_that_member(look):
    graded, _ = look({"ada/hw1/mlp.ipynb": 1, "ben/hw1/mlp.ipynb": 2})
    assert graded == {"ada": "ada", "ben": "ben"}


def test_of_several_members_submissions_the_newest_counts_for_the_others(look):
    files = {"ada/hw1/mlp.ipynb": 5, "ben/hw1/mlp.ipynb": 9}
    graded, _ = look(files, roster=ROSTER.replace("dan,Dan O,", "dan,Dan O,blue owls"))
    assert graded["dan"] == "ben"


def test_the_folder_with_the_teams_name_goes_before_a_newer_one_of_a_member(look):
    files = {"blue-owls/hw1/mlp.ipynb": 1, "ben/hw1/mlp.ipynb": 9}
    graded, _ = look(files)
    assert graded == {"ada": "blue-owls", "ben": "ben"}


def test_a_member_who_handed_in_another_homework_alone_has_the_teams_submission(look):
    graded, absent = look({"ada/hw1/mlp.ipynb": 1, "ben/hw2/cnn.ipynb": 1})
    assert graded == {"ada": "ada", "ben": "ada"} and "ben" not in absent


def test_who_handed_in_nothing_is_named(look):
    _, absent = look({"ada/hw1/mlp.ipynb": 1})
    assert absent["dan"] == "nothing was handed in for hw1"


def test_students_without_a_team_share_nothing(look):
    graded, _ = look({"dan/hw1/mlp.ipynb": 1}, roster="id,group\ndan,\neve,\n")
    assert graded == {"dan": "dan"}


def test_who_is_not_in_the_roster_is_graded_all_the_same(look):
    graded, _ = look({"zoe/hw1/mlp.ipynb": 1})
    assert graded == {"zoe": "zoe"}


def test_one_student_alone_is_graded_by_the_teams_folder(look):
    assert look({"ada/hw1/mlp.ipynb": 1}, ["ben"]) == ({"ben": "ada"}, {})
    with pytest.raises(CourseError, match="no such submission"):
        look({}, ["dan"])
