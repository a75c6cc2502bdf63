"""The selected folder of one IMAP session: what the session has been told, and its commands."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from infra.local.operator_imap_syntax import (
    Bad,
    Command,
    No,
    Token,
    flags,
    item,
    marks_seen,
    numbers,
    reads_body,
    search,
    string,
    strings,
)
from infra.local.operator_rules import OperatorRules
from infra.local.operator_store import Folder, StoredMail
from infra.local.operator_wire import Gone, Wire

IN_FOLDER: Final = frozenset({"FETCH", "STORE", "SEARCH", "COPY", "MOVE", "EXPUNGE"})
BY_NUMBER: Final = frozenset({"FETCH", "STORE", "SEARCH"})
"""After these, without UID, no EXPUNGE may be told: sequence numbers would shift (§7.4.1)."""


@dataclass(slots=True)
class Selected:
    """Sequence numbers are those of `view`, not of the store (RFC 3501 §7.4.1)."""

    wire: Wire
    rules: OperatorRules
    folder: Folder
    existing: Callable[[Token], Folder]
    view: list[int]
    read_only: bool

    async def answer(self, command: Command) -> str:
        """Carry out one command of `IN_FOLDER`; its tagged answer."""
        handlers: dict[str, Callable[[Command], Awaitable[str]]] = {
            "FETCH": self._fetch,
            "STORE": self._store_flags,
            "SEARCH": self._search,
            "COPY": self._copy,
            "MOVE": self._copy,
            "EXPUNGE": self._expunge,
        }
        return await handlers[command.name](command)

    def closed(self) -> None:
        """CLOSE expunges without telling; EXAMINE leaves all as it is."""
        if not self.read_only:
            self._delete(list(self._numbered()))

    async def news(self) -> None:
        """EXPUNGE and EXISTS for what other sessions, or this one, have done."""
        now = [mail.uid for mail in self.rules.store.mails(self.folder)]
        kept = set(now)
        for number in range(len(self.view), 0, -1):
            if self.view[number - 1] not in kept:
                await self._tell(f"{number} EXPUNGE")
        known = set(self.view)
        if any(uid not in known for uid in now):
            await self._tell(f"{len(now)} EXISTS")
        self.view = now

    def _numbered(self) -> Iterator[tuple[int, StoredMail]]:
        """(sequence number, mail) of what this session knows and still exists."""
        places = {uid: number for number, uid in enumerate(self.view, start=1)}
        for mail in self.rules.store.mails(self.folder):
            if mail.uid in places:
                yield places[mail.uid], mail

    def _meant(self, command: Command) -> list[tuple[int, StoredMail]]:
        text = string(command.args[0])
        known = self.view if command.by_uid else range(1, len(self.view) + 1)
        wanted = set(numbers(text, known))
        return [
            (number, mail)
            for number, mail in self._numbered()
            if (mail.uid if command.by_uid else number) in wanted
        ]

    def _raw(self, mail: StoredMail) -> bytes:
        return self.rules.store.raw(mail.content)

    async def _search(self, command: Command) -> str:
        keys = iter(command.args)
        if command.args and command.args[0] == "CHARSET":
            keys = iter(command.args[2:])
        test = search(keys, self._raw, self.view)
        hits = [
            mail.uid if command.by_uid else number
            for number, mail in self._numbered()
            if test(number, mail)
        ]
        await self._tell(" ".join(["SEARCH", *map(str, hits)]))
        return "OK Done."

    async def _fetch(self, command: Command) -> str:
        names = strings(command.args[1])
        if command.by_uid and "UID" not in map(str.upper, names):
            names.insert(0, "UID")
        for number, mail in self._meant(command):
            await self._fetch_one(number, mail, names)
        return "OK Done."

    async def _fetch_one(self, number: int, mail: StoredMail, names: Sequence[str]) -> None:
        faults = self.rules.faults
        if mail.uid in faults.poison_uids and any(map(reads_body, names)):
            self.wire.cut()
            raise Gone
        lead = b"* %d FETCH (" % number
        for name in names:
            text, literal = item(name, mail, self._raw)
            await self.wire.write(lead + text)
            if literal and (cut := faults.fetch_cut()) is not None:
                await self.wire.write(literal[:cut])
                await self.wire.close()
                raise Gone
            await self.wire.write(literal)
            lead = b" "
        await self.wire.write(b")\r\n")
        if any(map(marks_seen, names)) and not self.read_only:
            self.rules.store.set_flags(self.folder, mail.uid, mail.flags | {"\\Seen"})

    async def _store_flags(self, command: Command) -> str:
        self._writable()
        how = string(command.args[1]).upper()
        change = frozenset(strings(command.args[2]))
        for number, mail in self._meant(command):
            new = _changed(mail.flags, how, change)
            self.rules.store.set_flags(self.folder, mail.uid, new)
            if not how.endswith(".SILENT"):
                uid = f"UID {mail.uid} " if command.by_uid else ""
                await self._tell(f"{number} FETCH ({uid}FLAGS {flags(new).decode()})")
        return "OK Done."

    async def _copy(self, command: Command) -> str:
        """COPY and MOVE; MOVE tells COPYUID before its EXPUNGE (RFC 6851 §4.3)."""
        target = self.existing(command.args[1])
        moving = command.name == "MOVE"
        if moving:
            self._writable()
        uids = [mail.uid for _, mail in self._meant(command)]
        act = self.rules.store.move if moving else self.rules.store.copy
        pairs = act(self.folder, uids, target)
        if not pairs:
            return "OK No such mail."
        old, new = (",".join(str(pair[side]) for pair in pairs) for side in (0, 1))
        code = f"[COPYUID {target.uid_validity} {old} {new}]"
        if not moving:
            return f"OK {code} Done."
        await self._tell(f"OK {code} Moved.")
        return "OK Done."

    async def _expunge(self, command: Command) -> str:
        self._writable()
        if command.by_uid and "UIDPLUS" in self.rules.faults.hidden_capabilities:
            raise Bad
        self._delete(self._meant(command) if command.by_uid else list(self._numbered()))
        return "OK Done."

    def _delete(self, mails: Sequence[tuple[int, StoredMail]]) -> None:
        gone = [mail.uid for _, mail in mails if "\\Deleted" in mail.flags]
        self.rules.store.expunge(self.folder, gone)

    def _writable(self) -> None:
        if self.read_only:
            raise No("[READ-ONLY] Examined, not selected.")

    async def _tell(self, text: str) -> None:
        await self.wire.write(f"* {text}\r\n".encode("latin-1"))


def _changed(old: frozenset[str], how: str, change: frozenset[str]) -> frozenset[str]:
    if how.startswith("+"):
        return old | change
    if how.startswith("-"):
        return old - change
    return change
