"""Invented documents and records, and the match step over a base held in a tuple."""

from dataclasses import replace

from pfi.ins import concordance, matricule
from pfi.ins.concordance import Decision, MatchPolicy
from pfi.ins.identity import DocumentIdentity, InsKind, PatientId, PatientRecord, Traits

NIR, NIA = InsKind.NIR.value, InsKind.NIA.value
TEST, DEMO = InsKind.NIR_TEST.value, InsKind.NIR_DEMO.value
NSS = "1.2.250.1.213.1.4.13"


def keyed(body: str) -> str:
    return f"{body}{matricule.nir_key(body):02d}"


OWN = keyed("2850275056042")
FALSE_KEY = OWN[:13] + f"{(int(OWN[13:]) % 97) + 1:02d}"
OLD = keyed("2850299352017")
OTHER = keyed("2850233063118")
WAITING = keyed("8850299352001")
OTHER_WAITING = keyed("8850299352002")

TRAITS = Traits(
    birth_name="D'AUBRAC-VALLON",
    first_given="MAËLYS",
    given_list="MAËLYS ANNE",
    birth_date="19850209",
    sex="F",
    birth_place="75056",
    used_name="KERVENNIC",
)
PRODUCTION = MatchPolicy(production=True)


def document(*ids: tuple[str, str], traits: Traits = TRAITS, **more: object) -> DocumentIdentity:
    pairs = ids or ((OWN, NIR),)
    whole = DocumentIdentity(
        ids=tuple(PatientId(root, extension) for extension, root in pairs),
        traits=traits,
        metadata_patient=next(((e, r) for e, r in pairs if matricule.kind_of(r)), None),
    )
    return replace(whole, **more)  # type: ignore[arg-type]


def record(ipp: str = "IPP1", ins: tuple[str, str] = (OWN, NIR), **more: object) -> PatientRecord:
    whole = PatientRecord(ipp=ipp, status="VALI", matricule=ins[0], oid=ins[1], traits=TRAITS)
    return replace(whole, **more)  # type: ignore[arg-type]


def match(
    identity: DocumentIdentity, base: tuple[PatientRecord, ...], policy: MatchPolicy = PRODUCTION
) -> Decision:
    """What the match step does, over a base held in a tuple."""
    sought = concordance.seek(identity, policy)
    if isinstance(sought, Decision):
        return sought
    key = (sought.value, sought.kind.value)
    found = tuple(r for r in base if (r.matricule, r.oid) == key or key in r.aliases)
    by_ipp = {r.ipp: r for r in base}
    candidates = concordance.survivors(found, sought, by_ipp.get)
    return concordance.decide(identity, sought, candidates, base, policy)
