"""What must hold of credits and tasks, worked out from outside: from what clients were told and the
exported ledger alone. Knows spec/ledger.md and no line of the coordinator."""

import collections
import hashlib
import json

KINDS = {"grant": 1, "bond": 2, "unbond": 3, "escrow": 4, "pay": 5, "refund": 6, "slash": 7}
FINAL = ("completed", "failed", "cancelled")


class Broken(Exception):
    """An invariant does not hold; the text says which."""


def require(condition, text):
    if not condition:
        raise Broken(text)


def _head(major, value):
    if value < 24:
        return bytes([major << 5 | value])
    for extra, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if value < 1 << 8 * size:
            return bytes([major << 5 | extra]) + value.to_bytes(size, "big")
    raise Broken(f"{value} does not fit")


def _cbor(item):
    """Deterministic CBOR of lists, texts, bytes and whole numbers (spec/encoding.md)."""
    if isinstance(item, int):
        return _head(0, item)
    if isinstance(item, bytes):
        return _head(2, len(item)) + item
    if isinstance(item, str):
        return _head(3, len(item.encode())) + item.encode()
    return _head(4, len(item)) + b"".join(map(_cbor, item))


class Ledger:
    """An export, replayed."""

    def __init__(self, export):
        self.entries = [json.loads(line) for line in export.splitlines()]
        self.balances = collections.Counter()
        self.escrows, self.refunds, self.pays = {}, {}, collections.defaultdict(dict)
        self.granted, self.slashes = {}, collections.Counter()
        previous = bytes(32)
        for number, entry in enumerate(self.entries, 1):
            require(entry["sequence"] == number, f"entry {number} has number {entry['sequence']}")
            require(entry["previous"] == previous.hex(), f"entry {number} is not chained")
            previous = hashlib.sha256(_cbor(
                ["phase/ledger/1", number, entry["at"], KINDS[entry["kind"]], entry["from"],
                 entry["to"], entry["amount"], entry["reference"], previous])).digest()
            require(entry["hash"] == previous.hex(), f"entry {number} has another hash")
            self._take(number, entry)
        self.head = previous.hex()
        require(sum(self.balances.values()) == sum(self.granted.values()),
                "the accounts do not hold what was granted")

    def _take(self, number, entry):
        kind, source, target = entry["kind"], entry["from"], entry["to"]
        amount, reference = entry["amount"], entry["reference"]
        require(amount > 0, f"entry {number} moves {amount}")
        if kind == "grant":
            require(source == "mint" and target not in self.granted, f"granted twice: {target}")
            self.granted[target] = amount
        else:
            self.balances[source] -= amount
            require(self.balances[source] >= 0, f"entry {number}: {source} is below zero")
        self.balances[target] += amount
        if kind == "escrow":
            require(target == f"escrow:{reference}", f"entry {number}: escrow to {target}")
            require(reference not in self.escrows, f"escrowed twice: {reference}")
            self.escrows[reference] = (source, amount)
        elif kind == "pay":
            require(source == f"escrow:{reference}", f"entry {number}: paid from {source}")
            require(target not in self.pays[reference], f"paid twice: {reference} to {target}")
            self.pays[reference][target] = amount
        elif kind == "refund":
            require(reference not in self.refunds, f"refunded twice: {reference}")
            require(target == self.escrows[reference][0], f"refunded to another: {reference}")
            self.refunds[reference] = amount
        elif kind == "slash":
            self.slashes[source] += 1

    def continues(self, entries):
        """What was shown before stands unchanged at the beginning."""
        require(self.entries[:len(entries)] == entries, "the ledger forgot what it had shown")


def check_tasks(ledger, accepted, ends, shown):
    """`accepted`: key → (account, task id, bid) of each 201; `ends`: task id → the first final
    answer a client saw; `shown`: task id → what is shown now."""
    ids = [task for _, task, _ in accepted.values()]
    require(len(ids) == len(set(ids)), "two keys were answered with one task")
    require(set(ledger.escrows) == set(ids),
            f"escrows of {len(set(ledger.escrows) - set(ids))} tasks nobody was told of, none of "
            f"{len(set(ids) - set(ledger.escrows))} that were accepted")
    for account, task, bid in accepted.values():
        require(task in shown, f"accepted and lost: {task}")
        require(ledger.escrows[task] == (account, bid), f"escrow of {task}: {ledger.escrows[task]}")
        now = shown[task]
        require(now["status"] in FINAL, f"{task} never ends: {now['status']} {now['reason']}")
        require(now["status"] == "completed" or now["reason"], f"{task} ended without a reason")
        paid = sum(ledger.pays[task].values())
        require(paid + ledger.refunds.get(task, 0) == bid,
                f"{task}: {paid} paid and {ledger.refunds.get(task, 0)} refunded of {bid}")
        require(ledger.balances[f"escrow:{task}"] == 0, f"{task}: something is left in escrow")
        credits = now["credits"]
        require((credits["paid"], credits["refunded"]) == (paid, ledger.refunds.get(task, 0)),
                f"{task} says {credits}, the ledger {paid} paid")
        said = {f"node:{run['node_id']}": run["paid"] for run in now["runs"] if run["paid"]}
        require(said == ledger.pays[task], f"{task}: runs say {said}: {ledger.pays[task]}")
        if now["status"] == "completed":
            require(now["result"], f"{task} completed without a result")
            agreed = {f"node:{name}" for name in now["result"]["agreed_by"]}
            require(agreed >= set(ledger.pays[task]), f"{task}: paid {set(ledger.pays[task])}")
        if task in ends:
            for field in ("status", "reason", "result", "credits"):
                require(now[field] == ends[task][field],
                        f"{task} ended twice: {field} {ends[task][field]!r}, then {now[field]!r}")


def check_nodes(ledger, nodes):
    for node in nodes:
        name = node["node_id"]
        require(node["earned"] == ledger.balances[f"node:{name}"], f"{name} earned another sum")
        require(node["bond"] == ledger.balances[f"bond:{name}"], f"{name} has another bond")
