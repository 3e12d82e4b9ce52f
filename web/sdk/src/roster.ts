import type { MemberJson } from "./generated/MemberJson";

/** The body of a `roster` message. */
export interface RosterChange {
  readonly seq: number;
  readonly snapshot: boolean;
  readonly put: readonly MemberJson[];
  readonly removed: readonly number[];
  readonly attendees?: number;
}

/** Who is in the meeting: a snapshot, then changes. */
export class Roster {
  #members = new Map<number, MemberJson>();
  #seq = -1;
  #attendees: number | undefined;

  /** Everybody, in the order of their ids. */
  get members(): readonly MemberJson[] {
    return [...this.#members.values()].sort((a, b) => a.id - b.id);
  }

  /** How many attendees there are that are not listed; none: everybody is. */
  get attendees(): number | undefined {
    return this.#attendees;
  }

  /** One participant. */
  get(id: number): MemberJson | undefined {
    return this.#members.get(id);
  }

  /** Takes a message in; the same one twice has the effect of one. Returns whether it was news. */
  apply(change: RosterChange): boolean {
    if (change.snapshot) {
      this.#members = new Map();
    } else if (change.seq < this.#seq) {
      return false;
    }
    this.#seq = change.seq;
    if (change.snapshot || change.attendees !== undefined) this.#attendees = change.attendees;
    for (const id of change.removed) this.#members.delete(id);
    for (const member of change.put) this.#members.set(member.id, member);
    return true;
  }
}
