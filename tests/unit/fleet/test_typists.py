"""What is learnt from one tenant's users is used for that tenant alone."""

from forefill_service.fleet.typists import Typists
from forefill_service.session.likelihood import Typist

MESSAGE = "select name from users;"


def types(typist: Typist, text: str, now: float) -> float:
    for index in range(len(text)):
        now += 0.3
        typist.changed(text[: index + 1], removed=False, now=now)
    return now


def chance_of_enter(typist: Typist) -> float:
    types(typist, "select 1;", now=0.0)
    return typist.p_end(0.0)


def test_what_a_tenants_users_do_is_not_known_of_others() -> None:
    typists = Typists("")
    for _ in range(8):
        typist = typists.of_tenant("clinic")
        typist.submitted(MESSAGE, types(typist, MESSAGE, now=0.0))
    nothing_learnt = chance_of_enter(Typists("").of_tenant("bank"))
    assert chance_of_enter(typists.of_tenant("clinic")) > nothing_learnt
    assert chance_of_enter(typists.of_tenant("bank")) == nothing_learnt
