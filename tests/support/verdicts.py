"""What the command line says, short enough to compare: an exit code, and codes of reasons, violations or problems."""

from tests.support.world import Answer, Person

Verdict = tuple[int, list[str]]


def gate(person: Person, *named: str) -> Verdict:
    """What ``check`` says."""
    answer = person.maa("check", *named, "--format", "json", code=None)
    return answer.code, answer.reasons if "reasons" in answer.json else [f"error {answer.error['code']}"]


def verified(person: Person, *arguments: str) -> Verdict:
    """What ``verify`` says; a violation that was healed is marked."""
    answer = person.maa("verify", *arguments, "--format", "json", code=None)
    if "error" in answer.json:
        return answer.code, [f"error {answer.error['code']}"]
    found = answer.json["violations"]
    assert answer.json["good"] is (answer.code == 0)
    return answer.code, [("healed " if violation["healedBy"] else "") + violation["code"] for violation in found]


def problems(person: Person, *arguments: str) -> tuple[int, list[tuple[str, str]]]:
    """What ``validate`` says: exit code, and path and code of each error."""
    answer = person.maa("validate", *arguments, "--format", "json", code=None)
    errors = [found for found in answer.json["problems"] if found["level"] == "error"]
    return answer.code, [(found["path"], found["code"]) for found in errors]


def refused(answer: Answer) -> Verdict:
    """Why a command was refused."""
    return answer.code, [answer.error["code"]]
