"""The rules of the design, as far as they can be seen from outside: ``assert_rules`` is what every test of faults ends with.

Each rule is a function that yields what breaks it, with the number of the rule. What a rule cannot show here is tested elsewhere: R9, R14
and R17 to R22 by the contents of the disks, which must be equal whatever was cut; R12, R15 and R19 by tests of the engine.
"""

from collections.abc import Callable, Iterator

from tests.faults import rules_of_contents, rules_of_leftovers, rules_of_power
from tests.faults.evidence import Story

Rule = Callable[[Story], Iterator[str]]

RULES: dict[str, list[Rule]] = {
    "END": [rules_of_contents.ended_as_expected],
    "R1": [
        rules_of_power.never_two_live,
        rules_of_power.source_blocked_for_its_shutdown,
        rules_of_power.source_blocked_in_the_end,
        rules_of_power.target_made_blocked,
        rules_of_power.target_blocked_until_whole,
        rules_of_power.target_blocked_in_the_end,
        rules_of_power.target_started_only_if_asked,
    ],
    "R2": [rules_of_power.source_destroyed_only_when_asked, rules_of_power.source_deleted_as_asked],
    "R3": [rules_of_contents.own_disks_read_only_while_halted],
    "R4": [rules_of_contents.only_complete_passes_lead_on, rules_of_contents.disks_equal],
    "R5": [
        rules_of_power.source_given_back,
        rules_of_power.source_started_only_with_the_target_off,
        rules_of_leftovers.tracking_put_back,
    ],
    "R6": [rules_of_leftovers.kept_copy_stands],
    "R7": [rules_of_power.no_power_cut],
    "R8": [
        rules_of_leftovers.bystanders_unchanged,
        rules_of_leftovers.source_otherwise_unchanged,
        rules_of_leftovers.nothing_of_others_gone,
    ],
    "R10": [rules_of_leftovers.nothing_attached],
    "R11": [rules_of_leftovers.nothing_left],
    "R13": [rules_of_power.ha_off_until_started, rules_of_power.ha_as_on_the_source],
    "R16": [rules_of_leftovers.no_key_left],
    "R17": [rules_of_contents.target_not_written_after_its_start],
    "STATE": [rules_of_contents.own_state_carried],
    "TASKS": [rules_of_leftovers.no_task_left],
}


def violations(story: Story) -> list[str]:
    """All that breaks a rule, each with the rule's number first."""
    return [f"{number}: {what}" for number, rules in RULES.items() for rule in rules for what in rule(story)]


def assert_rules(story: Story) -> None:
    """Raises one AssertionError that lists every violation."""
    found = violations(story)
    if found:
        error = story.report["error"] or {}
        head = f"{story.name} ended {story.phase} ({error.get('code')}: {error.get('message')})"
        warned = [f"warned {each['code']}: {each['message']}" for each in story.report["warnings"]]
        raise AssertionError("\n  ".join([head, *found, *warned]))
