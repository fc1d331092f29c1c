"""Places: what stands where a usage record was, after all corrections of it and of each other.

A place is a plain record. Every correction has one target, so what leads to a place is a tree; a
circle leads to none, and has no effect until it is refused.
"""

from collections import defaultdict

from .admission import Correction, Rejected


class Places:
    """Records and corrections as they come, in any order."""

    def __init__(self, admission):
        self._admission = admission
        self._records = {}
        self._corrections = {}
        self._replaced = {}
        self._against = defaultdict(list)
        self._done = set()

    def add_record(self, record):
        """A plain record."""
        self._records[record.identity] = record

    def add_correction(self, correction):
        """A correction; its target may come later."""
        self._corrections[correction.identity] = correction
        self._against[correction.target].append(correction)

    def settle(self):
        """Reads the replacements whose targets are known now; returns [(correction, code)]."""
        refused = []
        waiting = True
        while waiting:
            waiting = [
                (correction, self._read(correction)) for correction in self._corrections.values()
                if correction.is_amendment and correction.identity not in self._replaced
            ]
            waiting = [(correction, found) for correction, found in waiting if found is not None]
            for correction, found in waiting:
                if isinstance(found, Rejected):
                    refused.append((correction, found.code))
                    self._refuse(correction)
                else:
                    self._replaced[correction.identity] = found
        return refused

    def dangling(self):
        """Refuses the corrections that lead to no record, and returns them."""
        refused = [
            each for each in self._corrections.values() if self.place_of(each.identity) is None
        ]
        for correction in refused:
            self._refuse(correction)
        return refused

    def place_of(self, identity):
        """The identity of the plain record that a record or a correction leads to, or None."""
        seen = set()
        while identity in self._corrections and identity not in seen:
            seen.add(identity)
            identity = self._corrections[identity].target
        return identity if identity in self._records else None

    def steps(self, place, cause):
        """(a record or correction, what stands at the place with it) for what has just come.

        Corrections that have waited for it come after it, each followed by those of itself.
        """
        if isinstance(cause, Correction):
            self._done.add(cause.identity)
        yield cause, self._standing(place)
        for each in self._against[cause.identity]:
            yield from self.steps(place, each)

    def _standing(self, identity):
        """The record that counts where a record or an amendment stands, None if it is gone."""
        in_force = [each for each in self._against[identity] if self._is_in_force(each)]
        if not all(each.is_amendment for each in in_force):
            return None
        if in_force:
            return self._standing(max(in_force, key=lambda each: each.order).identity)
        return self._records.get(identity) or self._replaced[identity]

    def _is_in_force(self, correction):
        """Whether a correction has been done, and no cancellation in force takes it back."""
        return correction.identity in self._done and not any(
            self._is_in_force(each)
            for each in self._against[correction.identity] if not each.is_amendment
        )

    def _read(self, amendment):
        """What an amendment puts in its target's place: a record, a rejection, None for not yet."""
        if self.place_of(amendment.target) is None:
            return None
        target = self._corrections.get(amendment.target)
        if target is not None and not target.is_amendment:
            return Rejected("unknown_reference")
        known = self._records.get(amendment.target) or self._replaced.get(amendment.target)
        if known is None:
            return None
        return self._admission.replaced(known.event, amendment, amendment.customer)

    def _refuse(self, correction):
        del self._corrections[correction.identity]
        self._against[correction.target].remove(correction)
        self._admission.release(correction.identity)
