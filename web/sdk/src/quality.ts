import type { MeetingStats, SlotStats } from "./stats";

/** How good a connection is: 4 (nothing to notice) to 1 (hardly usable). */
export type Quality = 1 | 2 | 3 | 4;

/** How good the connections of a meeting are. */
export interface Qualities {
  /** The own path to the edge; `undefined` before anything is known. */
  readonly own: Quality | undefined;
  /** What arrives of each participant who is heard or seen just now. */
  readonly of: ReadonlyMap<number, Quality>;
}

/** Share of a new measurement in the running mean: a burst is seen within 3 s, a single lost packet is not. */
const SHARE = 0.35;
/** The first looks at somebody in a slot say nothing: buffers are still filling. */
const LOOKS_MIN = 3;
/** From these shares of lost packets on there are 3, 2 and 1 bars. Repair hides 1 %; from 8 % on pictures freeze. */
const LOSS_STEPS = [0.01, 0.03, 0.08] as const;
/** From these round trips on, ms: 300 is twice the limit of a lively talk (ITU-T G.114), 600 and 1,000 are a strain. */
const ROUND_TRIP_STEPS_MS = [300, 600, 1_000] as const;
/** From these shares of invented sound on. */
const CONCEALED_STEPS = [0.03, 0.08, 0.2] as const;

function bars(value: number, steps: readonly number[]): Quality {
  return (4 - steps.filter((step) => value >= step).length) as Quality;
}

function worst(all: readonly Quality[]): Quality {
  return Math.min(...all) as Quality;
}

/** Turns statistics, once a second, into bars. */
export class QualityReader {
  readonly #means = new Map<string, number>();
  readonly #looks = new Map<string, number>();

  /** Takes a look in. */
  update(stats: MeetingStats): Qualities {
    const of = new Map<number, Quality>();
    for (const slot of stats.slots) {
      if (slot.participant === undefined || slot.bitrateBps === 0) continue;
      const name = `${slot.key}/${slot.participant}`;
      const looks = (this.#looks.get(name) ?? 0) + 1;
      this.#looks.set(name, looks);
      if (looks <= LOOKS_MIN) continue;
      const seen = of.get(slot.participant);
      const now = this.#slot(slot, name);
      of.set(slot.participant, seen === undefined ? now : worst([seen, now]));
    }
    return { own: this.#own(stats), of };
  }

  #slot(slot: SlotStats, name: string): Quality {
    const loss = bars(this.#mean(`${name}/loss`, slot.lossRatio), LOSS_STEPS);
    const concealed = bars(this.#mean(`${name}/concealed`, slot.concealedRatio), CONCEALED_STEPS);
    return worst([loss, slot.role === "audio" ? concealed : 4]);
  }

  #own(stats: MeetingStats): Quality | undefined {
    if (stats.roundTripMs === undefined) return undefined;
    const sent = Math.max(0, ...stats.sends.map(({ lossRatio }) => lossRatio ?? 0));
    return worst([
      bars(this.#mean("rtt", stats.roundTripMs), ROUND_TRIP_STEPS_MS),
      bars(this.#mean("down", stats.downLossRatio), LOSS_STEPS),
      bars(this.#mean("up", sent), LOSS_STEPS),
    ]);
  }

  #mean(name: string, value: number): number {
    const before = this.#means.get(name) ?? value;
    const mean = before + SHARE * (value - before);
    this.#means.set(name, mean);
    return mean;
  }
}
