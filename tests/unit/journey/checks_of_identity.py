"""The second half of the closed list: whose documents they are, what the peers answer, and what is
owed at the end (see `checks`)."""

from dataclasses import replace

from pfi.errors import OutcomeUnknown, Refused, Unavailable
from pfi.ins.concordance import Warn
from pfi.ins.identity import InsKind
from pfi.journey.answered import BASE_DIFFERS
from pfi.journey.settings import MatchSettings
from pfi.names import Environment, Reason
from tests.data.builders import ANDRE, LEA, SAMIR, THEO, YANN, document, mail, xdm_zip
from tests.doubles.drive import HOSPITAL
from tests.unit.journey.checks import BASE, checked, letter

_UNKNOWN = replace(LEA, body="2910775102003", birth_name="INCONNUE")
_NEW_NUMBER = replace(LEA, body="2870475102003")
_FALSE_KEY = replace(LEA, key="99")
_SECOND_NAMES = (
    '<family qualifier="BR">KERGOUSTIN</family><given qualifier="BR">JEAN-YANN</given>'
    "<given>MALO</given>"
)
_NO_GIVEN_BR = '<family qualifier="BR">LECŒURDIER</family><given>ANDRÉ</given>'
_TWO_NIR = [(str(LEA.oid), each.matricule) for each in (LEA, _UNKNOWN)]
_NIR_AND_NIA = [(str(LEA.oid), LEA.matricule), (str(SAMIR.oid), SAMIR.matricule)]
_MALFORMED = [(str(LEA.oid), "28704")]


def matching(**settings):
    return replace(HOSPITAL, match=replace(MatchSettings(), **settings))


def based(*records):
    """The patient base with these records instead of theirs."""
    changed = {record.ipp: record for record in records}
    kept = tuple(record for record in BASE if record.ipp not in changed)
    return (*kept, *changed.values())


def instead_of(person, **changes):
    return based(replace(person.record, **changes))


OF_THE_IDENTITY = (
    checked(
        "ins.concordance.seek",
        Reason.MULTIPLE_PATIENTS,
        letter(document(LEA, record_targets=2)),
    ),
    checked("ins.concordance.seek", Reason.NO_INS, letter(document(LEA, record_targets=0))),
    checked(
        "ins.concordance.seek",
        Reason.NO_INS,
        letter(document(LEA, ids=[("2.25.9", "LAB-1")], patient_id="")),
    ),
    checked(
        "ins.concordance._fault",
        Reason.MATRICULE_MALFORMED,
        letter(document(LEA, ids=_MALFORMED, patient_id="")),
    ),
    checked(
        "ins.concordance._fault",
        Reason.MATRICULE_MALFORMED,
        letter(document(_FALSE_KEY)),
        settings=matching(key="reject"),
    ),
    checked(
        "ins.concordance._fault",
        Reason.INS_CONFLICT_IN_DOCUMENT,
        letter(document(LEA, ids=_TWO_NIR)),
    ),
    checked(
        "ins.concordance._fault",
        Reason.TEST_INS_IN_PRODUCTION,
        letter(document(LEA)),
        settings=replace(HOSPITAL, environment=Environment.PRODUCTION),
    ),
    checked(
        "ins.concordance._metadata_fault",
        Reason.META_CDA_PATIENT_MISMATCH,
        letter(document(LEA, patient_id=YANN.cx)),
    ),
    checked(
        "ins.concordance._complete",
        Reason.INS_INCOMPLETE,
        letter(document(replace(LEA, sex="UN"))),
    ),
    checked(
        "ins.concordance.document_traits",
        Warn.DEDUCED_GIVEN,
        letter(document(ANDRE, names=_NO_GIVEN_BR)),
        settings=matching(deduce_first_given=True),
    ),
    checked(
        "ins.concordance._document_warnings",
        Warn.FALSE_KEY,
        letter(document(_FALSE_KEY)),
        base=based(_FALSE_KEY.record),
    ),
    checked(
        "ins.concordance._document_warnings",
        Warn.LEGACY_GIVEN,
        letter(document(YANN, names=_SECOND_NAMES)),
    ),
    checked(
        "ins.concordance._document_warnings",
        Warn.PRODUCTION_INS,
        letter(document(replace(LEA, oid=InsKind.NIR))),
        base=based(replace(LEA, oid=InsKind.NIR).record),
    ),
    checked(
        "ins.concordance._document_warnings",
        Warn.NO_INS_IN_METADATA,
        letter(document(LEA, patient_id="")),
    ),
    checked(
        "ins.concordance.decide",
        Reason.AMBIGUOUS,
        letter(document(LEA)),
        base=(*BASE, replace(LEA.record, ipp="900101")),
    ),
    checked("ins.concordance._unknown", Reason.UNKNOWN_PATIENT, letter(document(_UNKNOWN))),
    checked(
        "ins.concordance._unknown",
        Reason.INS_DIFFERS,
        letter(document(_NEW_NUMBER)),
    ),
    checked(
        "ins.concordance._record_fault",
        Reason.BASE_NOT_QUALIFIED,
        letter(document(LEA)),
        base=instead_of(LEA, status="PROV"),
    ),
    checked(
        "ins.concordance._record_fault",
        Reason.FLAGGED,
        letter(document(LEA)),
        base=instead_of(LEA, attributes=frozenset({"DOUT"})),
    ),
    checked(
        "ins.concordance._record_fault",
        Reason.INS_DIFFERS,
        letter(document(_NEW_NUMBER)),
        base=instead_of(LEA, aliases=((_NEW_NUMBER.matricule, str(LEA.oid)),)),
    ),
    checked(
        "ins.concordance._record_warnings",
        Warn.NIA_ALIAS,
        letter(document(SAMIR)),
        base=instead_of(
            SAMIR,
            matricule=YANN.matricule,
            oid=InsKind.NIR.value,
            aliases=((SAMIR.matricule, str(SAMIR.oid)),),
        ),
    ),
    checked(
        "ins.concordance._record_warnings",
        Warn.GIVEN_LIST,
        letter(document(replace(LEA, given_list="LÉA AUTRE"))),
    ),
    checked(
        "ins.concordance._record_warnings",
        Warn.ATTRIBUTES,
        letter(document(LEA)),
        base=instead_of(LEA, attributes=frozenset({"HOMO"})),
    ),
    checked(
        "ins.concordance._judged",
        Reason.BASE_INCOMPLETE,
        letter(document(LEA)),
        base=instead_of(LEA, traits=replace(LEA.traits, birth_place="")),
    ),
    *(
        checked("ins.concordance._judged", Reason.INS_DIFFERS, letter(document(other)))
        for other in (
            replace(THEO, birth_name="BENEZAR"),
            replace(THEO, first_given="LOUIS", given_list="LOUIS THÉO GASPARD"),
            replace(THEO, birth_date="20150607"),
            replace(THEO, sex="F"),
            replace(THEO, birth_place="34173"),
        )
    ),
    checked(
        "ins.concordance._judged",
        Reason.INS_DIFFERS,
        letter(document(replace(LEA, given_list="LÉA AUTRE"))),
        settings=matching(given_list="strict"),
    ),
    checked(
        "journey.identification.identify",
        Reason.INS_CONFLICT_IN_DOCUMENT,
        letter(document(LEA, ids=_NIR_AND_NIA)),
    ),
    checked(
        "journey.identification.document_refusal",
        Reason.MASQUE_PS,
        letter(document(ANDRE, masks=("MASQUE_PS",))),
    ),
    checked(
        "journey.identification.document_refusal",
        Reason.ANOTHER_PATIENT,
        letter(document(LEA, ids=[(str(LEA.oid), LEA.matricule), ("1.2.250.9", YANN.record.ipp)])),
        settings=replace(
            HOSPITAL,
            dpis=(replace(HOSPITAL.dpis[0], ipp_authority="CH&1.2.250.9&ISO"),),
        ),
    ),
)

_GOOD = letter(document(LEA))
_OTHER_BYTES = letter(document(LEA), headers=[("X-Autre", "1")])
_SILENT = mail(
    xdm_zip([document(replace(LEA, sex="UN"))]), mdn=False, headers=[("Precedence", "bulk")]
)
_NO_FALLBACK = replace(HOSPITAL, mailboxes=(replace(HOSPITAL.mailboxes[0], fallback=""),))
_AWAY = Unavailable(Reason.DPI_UNAVAILABLE)
_LOST = OutcomeUnknown(Reason.DPI_OUTCOME_UNKNOWN)
_REFUSING = letter(document(replace(LEA, sex="UN")), mdn=False)
_NOTICES = tuple(
    letter(document(replace(LEA, sex="UN")), number=number, mdn=False) for number in range(21)
)
_MARKED = letter(document(replace(LEA, sex="UN")), mdn=False, headers=[("X-PFI-Reason", "905 905")])
_V1 = document(LEA, document_id="2.25.1.1")
_V2_OF_ANOTHER = document(YANN, document_id="2.25.1.2", parent="2.25.1.1", version="2", action="C")

OF_THE_JOURNEY = (
    checked(
        "journey.collect",
        Reason.MAIL_TOO_LARGE,
        _GOOD,
        settings=replace(HOSPITAL, limits=replace(HOSPITAL.limits, mail_bytes=1000)),
    ),
    checked("journey", Reason.SAME_MAIL, _GOOD, _OTHER_BYTES),
    checked(
        "journey.settlement._integrated",
        Reason.MDN_TO_CONFIRM,
        letter(document(LEA), mdn_to="autre@labo-invente.mssante.fr"),
    ),
    checked(
        "journey.settlement._forwarded",
        Reason.MDN_TO_CONFIRM,
        letter(document(replace(LEA, sex="UN")), mdn_to="autre@labo-invente.mssante.fr"),
    ),
    checked(
        "journey.settlement._not_integrated",
        Reason.NOT_ANSWERABLE,
        _SILENT,
        settings=_NO_FALLBACK,
    ),
    checked("journey.forward", Reason.TOO_MANY_NOTICES, *_NOTICES, settings=_NO_FALLBACK),
    checked("journey.settlement._forwarded", Reason.FORWARD_LOOP, _MARKED),
    checked("journey.forward", Reason.FORWARD_LOOP, *_NOTICES[:4]),
    checked("journey.push", Reason.DPI_VERSION, _GOOD, dpi=("AE 207 900",)),
    checked("journey.push", Reason.DPI_AUTHOR, _GOOD, dpi=("AE 207 901",)),
    checked("journey.push", Reason.OTHER, _GOOD, dpi=("AE 207",)),
    checked("journey.answered", BASE_DIFFERS, _GOOD, dpi=("AE 207 902",)),
    checked("journey.answered", Reason.DPI_SYNTAX, _GOOD, dpi=("AE 101",)),
    checked("journey.answered", Reason.DPI_CONFIGURATION, _GOOD, dpi=("AE 203",)),
    checked("journey.answered", Reason.DPI_OUTCOME_UNKNOWN, _GOOD, dpi=(_LOST,) * 9),
    checked("journey.push", Reason.DPI_MAYBE_TWICE, _GOOD, dpi=(_LOST,)),
    checked("journey.push", Reason.DPI_RETRY_LATER, _GOOD, dpi=("AR 206",)),
    checked("journey.push", Reason.DPI_UNAVAILABLE, _GOOD, dpi=(_AWAY,) * 99),
    checked(
        "journey.push",
        Reason.BASE_CHANGED,
        _GOOD,
        dpi=(_AWAY,) * 3,
        later=instead_of(LEA, status="PROV"),
    ),
    checked(
        "journey.push",
        Reason.ANOTHER_PATIENT,
        letter(_V1),
        letter(_V2_OF_ANOTHER, number=2),
    ),
    checked(
        "journey.push",
        Reason.PARENT_IN_FLIGHT,
        letter(document(LEA, parent="2.25.404", version="2", action="C")),
    ),
    checked(
        "journey.forward",
        Reason.RELAY_REFUSED,
        _REFUSING,
        relay=(Refused(Reason.RELAY_REFUSED, code="550"),),
    ),
    checked(
        "journey.forward",
        Reason.RELAY_UNAVAILABLE,
        _REFUSING,
        relay=(Unavailable(Reason.RELAY_UNAVAILABLE),),
    ),
    checked(
        "journey.forward",
        Reason.RELAY_OUTCOME_UNKNOWN,
        _REFUSING,
        relay=(OutcomeUnknown(Reason.RELAY_OUTCOME_UNKNOWN),) * 9,
    ),
)
