"""Uploads, deletions, deliveries, replays, deaths and overlaps in any order, held against a plain model of the inbox.

The model knows one rule: a delivery that ran to its end leaves its bin's records as the inbox holds the bin now. moto
is slow, so a tenth of the profile's examples are run: `make fuzz` runs a soak's worth.
"""

import itertools
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import timedelta

import pytest
from boto3.dynamodb.conditions import Key
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from inventory.bins import locate
from inventory.check import PAIRING, identity
from inventory.errors import RetryLater
from inventory.inspection import CHECKER_TIMEOUT
from tests.builders import BUCKET, metadata, picture, seen, upload

VERSIONED = "inbox-with-versions"
KEYS = ("bin-images/{}.jpg", "bin-images/{}.png", "metadata/{}.json")
CONTENTS = {"image": (picture(1), picture(2), b""), "metadata": (metadata(1), metadata(2), b"no JSON")}
VERDICTS = (("match", "mismatch", "rejected"), ("mismatch", "match", "rejected"), ("rejected",) * 3)
"""By picture, then by record, as CONTENTS has them."""
STAGES = ("count", "record", "publish", "mark_alerted", "make_current")
positions = st.integers(0, 9)
examples = itertools.count()


class Died(BaseException):
    """The function ran out of time, or its machine was lost."""


class Tapped:
    """Passes calls on, and runs what `taps` holds for a method, once, after it."""

    def __init__(self, tapped, taps):
        self._tapped, self._taps = tapped, taps

    def __getattr__(self, name):
        method = getattr(self._tapped, name)

        def call(*args):
            result = method(*args)
            self._taps.pop(name, lambda: None)()
            return result

        return call


class Deliveries(RuleBasedStateMachine):
    """`inbox` is the version under each key, `told` the newest delivered upload of each part, `pending` the queue.

    `current`, `waiting` and `alone` are what the model wants on the open list of each bin: the newest check, the upload
    that waits, and the rejections of uploads that were deleted. `unsettled` are bins of which a delivery died or was
    overtaken, until the next delivery finds both parts. `heard` is the answer that people were told last of each bin.
    """

    def __init__(self, warehouse, bucket):
        super().__init__()
        self.warehouse, self.bucket, self.id = warehouse, bucket, f"b{next(examples)}"
        self.contents, self.inbox, self.told = {}, {}, {}
        self.pending, self.delivered = [], []
        self.current, self.waiting, self.alone, self.unsettled = {}, {}, defaultdict(set), set()
        self.counted, self.published, self.disturbances, self.cut_off = Counter(), [], 0, set()
        self.heard = {}

    # What happens

    @rule(site=st.sampled_from(("", "BOS1/")), name=st.sampled_from(KEYS), content=st.integers(0, 2))
    def put(self, site, name, content):
        key = site + name.format(self.id)
        body = CONTENTS[locate(key)[1]][content]
        stored = self.warehouse.s3.put_object(Bucket=self.bucket, Key=key, Body=body)
        put = upload(key, body)
        put = replace(put, bucket=self.bucket, version=stored.get("VersionId") or put.version)
        self.contents[put.version] = content
        self.inbox[key] = put.version
        self.pending.append(put)

    @precondition(lambda self: self.inbox)
    @rule(position=positions)
    def delete(self, position):
        key = sorted(self.inbox)[position % len(self.inbox)]
        self.warehouse.s3.delete_object(Bucket=self.bucket, Key=key)
        del self.inbox[key]

    @precondition(lambda self: self.pending)
    @rule(position=positions)
    def deliver(self, position):
        event = self.pending.pop(position % len(self.pending))
        self._inspect(event)
        self._expect(event)

    @precondition(lambda self: self.delivered)
    @rule(position=positions)
    def replay(self, position):
        event = self.delivered[position % len(self.delivered)]
        self._inspect(event)
        self._expect(event)

    @precondition(lambda self: self.pending)
    @rule(position=positions, stage=st.sampled_from(STAGES))
    def die(self, position, stage):
        """A delivery dies after a stage, if it gets so far, and its message comes back later."""

        def death():
            raise Died

        event = self.pending.pop(position % len(self.pending))
        try:
            self._inspect(event, {stage: death})
        except Died:
            self._disturb(event)
            self.pending.append(event)
            self.cut_off |= {item["check_id"] for item in self._checks(event).values() if "alerted_at" not in item}
            self.warehouse.clock += CHECKER_TIMEOUT + timedelta(seconds=1)
        else:
            self._expect(event)

    @precondition(lambda self: self.pending)
    @rule(position=positions, stage=st.sampled_from(STAGES), name=st.sampled_from(KEYS), content=st.integers(0, 2))
    def overtake(self, position, stage, name, content):
        """After a stage of a delivery, if it gets so far, a newer upload of its bin comes and is delivered."""
        newest = []

        def overtaken():
            self.put(_part(event)[0].removesuffix(self.id), name, content)
            newest.append(self.pending.pop())
            self._disturb(event)
            try:
                self._inspect(newest[0])
            except RetryLater:
                self.pending.extend(newest)

        event = self.pending.pop(position % len(self.pending))
        self._inspect(event, {stage: overtaken})
        if not newest:
            self._expect(event)
        elif newest[0] not in self.pending:
            self._expect(newest[0])
        self.delivered.append(event)

    def teardown(self):
        """All that is left is delivered; then the table is emptied, for moto copies it whole in every transaction."""
        while self.pending:
            self.deliver(0)
        table = self.warehouse.table
        for item in table.scan()["Items"]:
            table.delete_item(Key={name: item[name] for name in ("bin", "check")})

    # What the deliveries meet

    def count(self, content, check_id):
        self.counted[check_id] += 1
        return seen(content)

    def publish(self, check):
        self.published.append((check.check_id, check.alert_kind))

    def _inspect(self, event, taps=None):
        self.warehouse.clock += timedelta(seconds=1)
        self.told[_part(event)] = max(event, self.told.get(_part(event), event), key=lambda told: told.sequencer)
        self.known = {version for check in self._checks(event) for version in check.split("/")}
        self.news = len(self.published)
        tapped, table = Tapped(self, taps or {}), Tapped(self.warehouse.table, taps or {})
        replace(self.warehouse.workflow, table=table, alerts=tapped, count=tapped.count).process(event)

    # What they should leave

    def _disturb(self, event):
        self.disturbances += 1
        self.unsettled.add(_part(event)[0])

    def _expect(self, event):
        """A delivery ran to its end, and nothing came after it: see that its bin stands as the inbox holds it."""
        self.delivered.append(event)
        bin, part = _part(event)
        lying = {part: self._lying(bin, part) for part in CONTENTS}
        wanted = identity(lying["image"], lying["metadata"])
        if all(lying.values()):
            self.current[bin], self.waiting[bin], self.alone[bin] = wanted, None, set()
            self._hear(bin, self._checks(event)[wanted])
            self.unsettled.discard(bin)
        else:
            self.waiting[bin] = wanted if any(lying.values()) else None
            if not lying[part] and event.version not in self.known:
                self.alone[bin].add(identity(event.version, None))
        self._see(event, bin)

    def _hear(self, bin, item):
        """People are told an answer unless they heard it last; that a bin agrees, if they heard that it did not."""
        agrees = item["status"] == "match"
        answer = None if agrees else tuple(item.get(name) for name in ("status", "predicted", "direction", "reason"))
        kind = "resolved" if agrees else item["status"]
        news = [(item["check_id"], kind)] if answer != self.heard.get(bin) else []
        assert bin in self.unsettled or self.published[self.news :] == news
        self.heard[bin] = answer

    def _see(self, event, bin):
        pairing, checks = self._items(event)[PAIRING], self._checks(event)
        assert pairing.get("waits") == self.waiting[bin]
        assert ("open" in pairing) == bool(self.waiting[bin])
        for check, item in checks.items():
            assert item["status"] == self._verdict(check)
            assert self.counted[item["check_id"]] <= 1 + self.disturbances
            if item["status"] in ("mismatch", "rejected") and "repeats" not in item:
                told = (item["check_id"], item["status"]) in self.published
                assert (told and "alerted_at" in item) or (
                    item["check_id"] in self.cut_off and check != self.current.get(bin)
                )
        if bin not in self.unsettled:
            current = self.current.get(bin)
            speaks = {current} if current and checks[current]["status"] != "match" else set()
            assert {check for check, item in checks.items() if "open" in item} == speaks | self.alone[bin]

    def _lying(self, bin, part):
        """The version of a part that is looked at: where the newest upload told of lies, else in the usual order."""
        site = bin.removesuffix(self.id)
        told = [self.told[bin, part].key] if (bin, part) in self.told else []
        keys = [*told, *(site + name.format(self.id) for name in KEYS)]
        return next((self.inbox[key] for key in keys if key in self.inbox and locate(key)[1] == part), None)

    def _verdict(self, check):
        image, record = check.split("/")
        return VERDICTS[self.contents[image]][self.contents[record]] if record != "-" else "rejected"

    def _items(self, event):
        key = Key("bin").eq(_part(event)[0])
        items = self.warehouse.table.query(KeyConditionExpression=key)["Items"]
        return {item["check"]: item for item in items}

    def _checks(self, event):
        return {check: item for check, item in self._items(event).items() if check != PAIRING}


def _part(event):
    bin, part = locate(event.key)
    return bin.name, part


@pytest.mark.parametrize("bucket", [BUCKET, VERSIONED])
def test_whatever_happens_each_bin_ends_as_the_inbox_holds_it(warehouse, bucket):
    if bucket == VERSIONED:
        warehouse.s3.create_bucket(Bucket=VERSIONED)
        versioning = {"Status": "Enabled"}
        warehouse.s3.put_bucket_versioning(Bucket=VERSIONED, VersioningConfiguration=versioning)
    few = settings(
        max_examples=settings().max_examples // 10,
        stateful_step_count=20,
        deadline=None,
        phases=[Phase.reuse, Phase.generate],  # shrinking takes minutes in moto, and twenty steps can be read
    )
    run_state_machine_as_test(lambda: Deliveries(warehouse, bucket), settings=few)
