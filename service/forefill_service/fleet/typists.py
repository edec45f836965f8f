"""What the users of each tenant do, as far as it was learnt: shared by the sessions of a tenant."""

from ..scheduling.accounts import Accounts
from ..session.endings import DEFAULT_FINAL_CHARACTERS
from ..session.habits import Habits
from ..session.likelihood import Typist


class Typists:
    """Makes the model of each session's user; it knows what its tenant's others did. Bounded, and without any text.

    No `final_characters` are those of the model.
    """

    def __init__(self, final_characters: str) -> None:
        self._final_characters = final_characters or DEFAULT_FINAL_CHARACTERS
        self._habits = Accounts(Habits)

    def of_tenant(self, tenant: str) -> Typist:
        """Return the model of a new session's user."""
        return Typist(self._final_characters, (self._habits.of(tenant),))
