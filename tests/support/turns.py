"""Users of the SDK who type and ask turn after turn, and keep what they asked and were told."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from forefill_client import AsyncClient, ChatMessage, Sampling, Session, SessionState

SYSTEM = ("system", "You write SQL for a clinic.")
GREEDY = Sampling(temperature=0)
KEY_SECONDS = 0.03


@dataclass
class User:
    """One user's conversation, the streams that it had, how many broke, and how often an answer went on on another."""

    name: str
    sampling: Sampling = GREEDY
    streams: int = 0
    breaks: int = 0
    resumed: int = 0
    asked: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    kept: tuple[ChatMessage, ...] = ()

    async def ask_until(self, client: AsyncClient, over: Callable[[], bool]) -> None:
        """Type, submit and read the answer, again and again until it is over; at least once after that."""
        async with client.session([SYSTEM], sampling=self.sampling, on_state=self._note) as session:
            last = False
            while not last:
                last = over()
                self.asked.append(await self._typed(session, len(self.asked)))
                answer = await session.submit()
                self.told.append("".join([delta async for delta in answer]))
                self.resumed += answer.resumed
            self.kept = session.messages

    async def _typed(self, session: Session, turn: int) -> str:
        text = f"Show {self.name} what changed in week {turn}"
        for key in text:
            await session.type(key)
            await asyncio.sleep(KEY_SECONDS)
        assert session.draft == text
        return text

    def _note(self, state: SessionState, _: Exception | None) -> None:
        self.streams += state is SessionState.OPEN
        self.breaks += state is SessionState.RECONNECTING

    @property
    def conversation(self) -> tuple[ChatMessage, ...]:
        """What it should be: each question and each answer once."""
        turns = [
            (ChatMessage("user", asked), ChatMessage("assistant", told))
            for asked, told in zip(self.asked, self.told, strict=True)
        ]
        return (ChatMessage(*SYSTEM), *(message for turn in turns for message in turn))

    async def told_again(self, client: AsyncClient) -> list[str]:
        """Return the answers to the same questions, asked in one go."""
        async with client.session([SYSTEM], sampling=self.sampling) as session:
            return [await (await session.submit(text)).text() for text in self.asked]


async def while_users_ask(
    clients: list[AsyncClient],
    work: Callable[[], Awaitable[None]],
    *,
    sampling: Sampling = GREEDY,
    warm_up_seconds: float = 1,
) -> list[User]:
    """Do some work while a user of each client types and asks; return the users."""
    users = [User(f"user {number}", sampling) for number in range(len(clients))]
    over = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for user, client in zip(users, clients, strict=True):
            tasks.create_task(user.ask_until(client, over.is_set))
        await asyncio.sleep(warm_up_seconds)
        try:
            await work()
        finally:
            over.set()
    return users
