from __future__ import annotations

import pytest

from sim.errors import DoesNotFit, FormatError, InputError, MoesimError, ScheduleError


def test_an_input_error_is_one_line_with_file_field_value_and_remedy() -> None:
    error = InputError("must be positive", file="a.yaml", field="cache.slots", value=-3, remedy="give at least 1")
    assert str(error) == "a.yaml: cache.slots: must be positive (got -3); give at least 1"
    assert (error.file, error.field, error.value, error.remedy) == ("a.yaml", "cache.slots", -3, "give at least 1")


def test_parts_that_are_not_known_are_left_out() -> None:
    assert str(InputError("is empty")) == "is empty"
    assert str(InputError("is empty", file="a.yaml")) == "a.yaml: is empty"
    assert str(InputError("is empty", value=0)) == "is empty (got 0)"


def test_line_breaks_in_messages_and_values_do_not_break_the_line() -> None:
    error = InputError("first\n  second", field="x", value="a\nb", remedy="do\nthis")
    assert "\n" not in str(error)
    assert str(error) == r"x: first second (got 'a\nb'); do this"


def test_a_long_value_is_shortened() -> None:
    message = str(InputError("is too long", value="y" * 5000))
    assert len(message) < 120
    assert message.endswith("…)")


@pytest.mark.parametrize("kind", [FormatError, DoesNotFit])
def test_what_a_user_can_mend_is_an_input_error(kind: type[InputError]) -> None:
    assert issubclass(kind, InputError)


def test_a_strategy_that_breaks_the_rules_is_not_the_users_mistake() -> None:
    assert issubclass(ScheduleError, MoesimError)
    assert not issubclass(ScheduleError, InputError)
