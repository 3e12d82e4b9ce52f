import type { SlotLine } from "./generated/SlotLine";
import type { SlotRole } from "./generated/SlotRole";
import type { SlotState } from "./generated/SlotState";

/**
 * A packet this old no longer tells who is in a slot, ms. Above the 400 ms between comfort packets of a silent voice
 * and above the frame distance of the slowest picture.
 */
export const CSRC_FRESH_MS = 1_000;

/** What the newest packet of a slot said. Times are `performance.timeOrigin + performance.now()`, ms. */
export interface Heard {
  readonly participant: number;
  readonly atMs: number;
  /** 0 (silent) to 1, for voices. */
  readonly level: number | undefined;
}

/** The part of a receiver that is used here. */
export interface SlotReceiver {
  readonly track: MediaStreamTrack;
  getContributingSources(): { source: number; timestamp: number; audioLevel?: number }[];
  getSynchronizationSources(): { audioLevel?: number; timestamp?: number; captureTimestamp?: number }[];
}

/** A receive slot. Its `stream` stays the same object for the whole meeting, also across a reconnect. */
export interface Slot {
  /** Stable name: `audio-0`, `main-0`, `strip-4`, `screen-0`. */
  readonly key: string;
  /** Its m-line; another one after a reconnect. */
  readonly mid: string;
  /** What it is for. */
  readonly role: SlotRole;
  /** What to show or play. */
  readonly stream: MediaStream;
  /** Whose voice or picture this is; none: the slot is empty. */
  readonly participant: number | undefined;
  /** The rid of the encoding that is shown. */
  readonly rid: string | undefined;
  /** 0 (silent) to 1, for voices. */
  readonly level: number;
}

interface Entry {
  readonly key: string;
  readonly role: SlotRole;
  readonly stream: MediaStream;
  mid: string;
  receiver: SlotReceiver | undefined;
  told: { participant: number | undefined; atMs: number };
  rid: string | undefined;
  participant: number | undefined;
  level: number;
}

/**
 * Who is in a slot. The packets know best, because label and picture then change together; the signal decides when no
 * packet is fresh, and when it emptied the slot after the last packet.
 */
export function occupant(
  told: { readonly participant: number | undefined; readonly atMs: number },
  heard: Heard | undefined,
  nowMs: number,
): number | undefined {
  if (!heard || nowMs - heard.atMs > CSRC_FRESH_MS) return told.participant;
  if (told.participant === undefined && heard.atMs <= told.atMs) return undefined;
  return heard.participant;
}

/** The newest contributing source of a receiver. */
export function newest(receiver: SlotReceiver): Heard | undefined {
  let best: Heard | undefined;
  for (const source of receiver.getContributingSources()) {
    if (best && source.timestamp <= best.atMs) continue;
    best = { participant: source.source, atMs: source.timestamp, level: source.audioLevel };
  }
  if (!best || best.level !== undefined) return best;
  // A slot carries one voice, so the level of the decoded sound is the contributor's.
  return { ...best, level: receiver.getSynchronizationSources()[0]?.audioLevel };
}

/** The receive slots of a meeting and who is in them. */
export class SlotTable {
  #entries: Entry[] = [];

  constructor(
    private readonly newStream: () => MediaStream = () => new MediaStream(),
    private readonly nowMs: () => number = () => performance.timeOrigin + performance.now(),
  ) {}

  /** All slots, in m-line order. */
  get slots(): readonly Slot[] {
    return this.#entries.map(({ key, mid, role, stream, participant, rid, level }) => {
      return { key, mid, role, stream, participant, rid, level };
    });
  }

  /** Takes the slots of an answer. A slot that was known under its key keeps its stream. */
  bind(lines: readonly SlotLine[]): void {
    const known = new Map(this.#entries.map((entry) => [entry.key, entry]));
    const counts = new Map<SlotRole, number>();
    this.#entries = lines.map(({ mid, role }) => {
      const index = counts.get(role) ?? 0;
      counts.set(role, index + 1);
      const key = `${role}-${index}`;
      const old = known.get(key);
      if (old) {
        old.mid = mid;
        return old;
      }
      const told = { participant: undefined, atMs: 0 };
      const stream = this.newStream();
      return { key, role, mid, stream, receiver: undefined, told, rid: undefined, participant: undefined, level: 0 };
    });
  }

  /** Puts the tracks of a peer into the slots' streams. */
  attach(receiverOf: (mid: string) => SlotReceiver | undefined): void {
    for (const entry of this.#entries) {
      const receiver = receiverOf(entry.mid);
      if (receiver === entry.receiver) continue;
      if (entry.receiver) entry.stream.removeTrack(entry.receiver.track);
      if (receiver) entry.stream.addTrack(receiver.track);
      entry.receiver = receiver;
    }
  }

  /** Nobody is in any slot: a new peer starts empty and the server tells all of it again. */
  clear(): void {
    const atMs = this.nowMs();
    for (const entry of this.#entries) {
      entry.told = { participant: undefined, atMs };
      entry.rid = undefined;
    }
  }

  /** The receiver behind a slot. */
  receiver(key: string): SlotReceiver | undefined {
    return this.#entries.find((entry) => entry.key === key)?.receiver;
  }

  /** Takes a `slots` message in. Returns whether a slot has somebody else or another encoding now. */
  apply(states: readonly SlotState[]): boolean {
    const atMs = this.nowMs();
    let changed = false;
    for (const state of states) {
      const entry = this.#entries.find((candidate) => candidate.mid === state.mid);
      if (!entry) continue;
      entry.told = { participant: state.participant ?? undefined, atMs };
      // What is absent may be written as null.
      const rid = state.rid ?? undefined;
      changed ||= entry.rid !== rid;
      entry.rid = rid;
    }
    return this.sample() || changed;
  }

  /** Reads who the packets are from. Returns whether a slot has somebody else now. */
  sample(): boolean {
    const nowMs = this.nowMs();
    let changed = false;
    for (const entry of this.#entries) {
      const heard = entry.receiver ? newest(entry.receiver) : undefined;
      const participant = occupant(entry.told, heard, nowMs);
      const fresh = heard !== undefined && nowMs - heard.atMs <= CSRC_FRESH_MS;
      entry.level = fresh && participant === heard.participant ? (heard.level ?? 0) : 0;
      changed ||= participant !== entry.participant;
      entry.participant = participant;
    }
    return changed;
  }
}
