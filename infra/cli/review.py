"""`pfi review`: what waits for a person: list, show, send back into the journey, close."""

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace, _SubParsersAction
from collections.abc import Iterator

from infra.cli.place import add_name, stack_of
from infra.cli.states import INTEGRATIONS_FR, STATES_FR, STATUS_FR, act_line, labelled, moment
from infra.cli.wording import LEVELS_FR, ROUTES_FR, TRAITS_FR
from infra.operations.candidates import IDENTITY, Candidate, candidates
from infra.operations.installed_reviews import desk_of, mail_of
from infra.operations.proof import QUEUED
from infra.operations.redriving import step_of
from infra.operations.reviews import Desk, Filed
from pfi.adapters.patients import DynamoLookup
from pfi.errors import Unavailable
from pfi.ins.traits import Level
from pfi.ins.wording import advice
from pfi.journey.ledger import Versioned
from pfi.journey.ports import Patients
from pfi.journey.records import DocumentRecord, MailRecord, ReviewItem
from pfi.names import Step

STEPS = tuple(each.value for each in (*QUEUED, Step.FEED))
"""Those whose work can be done again."""


def add_to(commands: "_SubParsersAction[ArgumentParser]") -> None:
    """Declare the command and its own sub-commands."""
    parser = commands.add_parser("review", help="revue manuelle : lister, relancer, clore")
    own = parser.add_subparsers(dest="what", required=True, metavar="QUOI")
    one = own.add_parser("list", help="ce qui attend une personne, le plus ancien d'abord")
    add_name(one)
    one.set_defaults(run=listed)
    one = own.add_parser("show", help="un courriel en revue, et ce qu'il y a à faire")
    _add_mail(one)
    one.set_defaults(run=show)
    one = own.add_parser("redrive", help="relancer à l'étape en échec, une fois la cause corrigée")
    _add_mail(one)
    one.add_argument("--step", choices=STEPS, help="cette étape seulement")
    one.add_argument("--who", required=True, metavar="NOM", help="pour le journal")
    one.add_argument("--why", required=True, metavar="TEXTE", help="pour le journal")
    one.add_argument(
        "--already-checked",
        action="store_true",
        help="vérifié : le DPI n'a pas le document, l'expéditeur n'a pas la réponse",
    )
    one.set_defaults(run=redrive)
    one = own.add_parser("close", help="clore : une personne s'en est chargée")
    _add_mail(one)
    one.add_argument("--who", required=True, metavar="NOM", help="pour le journal")
    one.add_argument("--comment", required=True, metavar="TEXTE", help="pour le journal")
    one.set_defaults(run=close)


def _add_mail(parser: ArgumentParser) -> None:
    parser.add_argument("mail", type=digest_of, metavar="COURRIEL", help="empreinte, ou son début")
    add_name(parser)


def digest_of(word: str) -> str:
    """An argparse type: a digest of a mail, or its beginning."""
    low = word.lower()
    if 8 <= len(low) <= 64 and not set(low) - set("0123456789abcdef"):
        return low
    raise ArgumentTypeError("8 à 64 chiffres hexadécimaux attendus")


def listed(options: Namespace) -> int:
    """One line for each open item."""
    with stack_of(options) as stack:
        _print(table(desk_of(stack).waiting()))
    return 0


def table(filed: Iterator[Filed]) -> Iterator[str]:
    """The open items as lines."""
    items = [each.item for each in filed]
    if not items:
        yield "Rien en revue."
        return
    yield f"{'date':<19}  {'courriel':<12}  {'étape':<8}  {'doc.':<4}  {'essais':>6}  motif"
    for each in items:
        yield (
            f"{moment(each.recorded_at)}  {each.mail[:12]}  {step_of(each).value:<8}  "
            f"{each.document or '-':<4}  {each.attempts:>6}  {labelled(each.reason)}"
        )


def show(options: Namespace) -> int:
    """The items of one mail, the mail and its documents, what to do."""
    with stack_of(options) as stack:
        desk = desk_of(stack)
        mail = mail_of(stack, desk, options.mail)
        base = DynamoLookup(stack.client("dynamodb"), stack.output("PatientsTable"))
        _print(shown(desk, mail))
        _print(candidate_lines(desk, mail, base))
    return 0


def shown(desk: Desk, mail: str) -> Iterator[str]:
    """Codes and digests of one mail; never a trait."""
    known, filed = desk.ledger.mail(mail), desk.of(mail)
    if any(each.item.step == Step.FEED.value for each in filed):
        yield f"message d'identité {mail}"
        yield f"  conservé sous feed/{mail}.hl7 (alimentation {filed[0].item.source})"
    else:
        yield f"courriel {mail}"
        yield from _mail_shown(desk, mail, known)
    for each in filed:
        yield from item_lines(each.item)
    yield from map(act_line, desk.acts(mail))


def _mail_shown(desk: Desk, mail: str, known: Versioned[MailRecord] | None) -> Iterator[str]:
    if known is None:
        yield "  inconnu du registre (jamais lu)"
    else:
        yield from mail_lines(known.record)
    for each in desk.ledger.documents(mail):
        yield document_line(each.record)


def candidate_lines(desk: Desk, mail: str, base: Patients) -> Iterator[str]:
    """For documents refused for their identity: whom they may be about; IPP, never a value."""
    known = desk.ledger.mail(mail)
    mailbox = desk.settings.mailbox(known.record.mailbox) if known else None
    documents = (each.record for each in desk.ledger.documents(mail))
    refused = [each for each in documents if each.reason in IDENTITY]
    if known is None or mailbox is None or not refused:
        return
    try:
        facts = desk.store.dossier(known.record.dossier_key).documents
        for each in refused:
            identity = facts[each.number - 1].identity
            found = candidates(identity, mailbox.establishment, base, desk.settings)
            yield f"  document {each.number}, candidats de la base : {len(found) or 'aucun'}"
            yield from map(_candidate_line, found)
    except Unavailable:  # bodies have expired, or the reviewer may not read the base
        yield "  candidats : le document ou la base patients ne peut pas être lu"


def _candidate_line(candidate: Candidate) -> str:
    ins = "tient ce matricule" if candidate.holds else "ne tient pas ce matricule"
    state = "qualifiée" if candidate.qualified else "non qualifiée"
    names = [TRAITS_FR[trait] for trait in candidate.differing]
    traits = f"diffère : {', '.join(names)}" if names else "traits identiques"
    return f"    IPP {candidate.ipp} ({state}) {ins} ; {traits}"


def mail_lines(mail: MailRecord) -> Iterator[str]:
    """Where the mail is."""
    route = ROUTES_FR[mail.route] if mail.route else "en cours"
    yield f"  {moment(mail.received_at)}  reçu, boîte {mail.mailbox} ; {STATES_FR[mail.state]}"
    yield f"  issue : {route}" + (f" ; {labelled(mail.reason)}" if mail.reason else "")


def document_line(document: DocumentRecord) -> str:
    """What the DPI said of a document, and how well the identity agreed."""
    words = [f"document {document.number} : {INTEGRATIONS_FR[document.integration]}"]
    if document.ack:
        words.append(f"ACK {document.ack}")
    if document.code or document.reason:
        words.append(labelled(document.reason or document.code or ""))
    if document.level:
        words.append(f"identité : {LEVELS_FR[Level(document.level)]}")
    return "  " + " ; ".join(words)


def item_lines(item: ReviewItem) -> Iterator[str]:
    """A review item, and what there is to do while it is open."""
    which = f", document {item.document}" if item.document else ""
    yield (
        f"  {moment(item.recorded_at)}  revue ({STATUS_FR[item.status]}) : étape "
        f"{step_of(item).value}{which} ; {labelled(item.reason)} ; {item.attempts} essai(s)"
    )
    if item.status == "open":
        yield f"    à faire : {advice('', item.reason)}"


def redrive(options: Namespace) -> int:
    """Send what may go back to its queue."""
    step = Step(options.step) if options.step else None
    with stack_of(options) as stack:
        desk = desk_of(stack)
        mail = mail_of(stack, desk, options.mail)
        items = desk.redrive(
            mail, options.who, options.why, step=step, checked=options.already_checked
        )
        left = [each.item for each in desk.of(mail) if each.waiting]
    _print(f"relancé : {step_of(each).value}, {labelled(each.reason)}" for each in items)
    _print(f"reste ouvert : {step_of(each).value}, {labelled(each.reason)}" for each in left)
    return 0


def close(options: Namespace) -> int:
    """Close all open items of the mail."""
    with stack_of(options) as stack:
        desk = desk_of(stack)
        items = desk.close(mail_of(stack, desk, options.mail), options.who, options.comment)
    _print(f"clos : {step_of(each).value}, {labelled(each.reason)}" for each in items)
    return 0


def _print(lines: Iterator[str]) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)
