import { LipSync, playoutDelayMs } from "./lipsync";
import { QualityReader, type Qualities } from "./quality";
import type { SlotTable } from "./slots";
import { Speaking } from "./speaking";
import { StatsReader, type MeetingStats } from "./stats";
import { statsValues } from "./util";

/** Who is in a slot is looked up this often, ms: a label is at most three pictures late. */
const SAMPLE_EVERY_MS = 100;
/** Voice and picture are aligned, and statistics told, this often, ms. */
const LOOK_EVERY_MS = 1_000;

/** What a {@link Monitor} looks at. */
export interface Monitored {
  readonly slots: SlotTable;
  readonly pc: () => RTCPeerConnection | undefined;
  /** The sender of the microphone, unless it is muted. */
  readonly voice: () => RTCRtpSender | undefined;
  readonly self: () => number | undefined;
}

/** What a {@link Monitor} tells. */
export interface MonitorHandlers {
  /** Somebody else is in a slot. */
  slots(): void;
  /** Others speak now. */
  speaking(ids: readonly number[]): void;
  /** A look at the transport, once a second. */
  stats(stats: MeetingStats, qualities: Qualities): void;
}

/** Looks at a running session again and again: who is in which slot, who speaks, how good it is; keeps lips in sync. */
export class Monitor {
  readonly #speaking = new Speaking();
  readonly #reader = new StatsReader();
  readonly #asked = new StatsReader();
  readonly #quality = new QualityReader();
  readonly #lipSync = new LipSync();
  #timers: ReturnType<typeof setInterval>[] = [];
  #ownLevel = 0;

  constructor(
    private readonly of: Monitored,
    private readonly handlers: MonitorHandlers,
  ) {}

  /** Ids of those who speak just now. */
  get speaking(): readonly number[] {
    return this.#speaking.ids;
  }

  start(): void {
    this.#timers = [
      setInterval(() => this.#sample(), SAMPLE_EVERY_MS),
      setInterval(() => void this.#look(), LOOK_EVERY_MS),
    ];
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#timers = [];
  }

  /** Rates since the last call of this. */
  async stats(): Promise<MeetingStats> {
    return this.#asked.read(await this.#report(), this.of.slots.slots);
  }

  #sample(): void {
    const { slots, self } = this.of;
    if (slots.sample()) this.handlers.slots();
    const levels: [number, number][] = [];
    for (const slot of slots.slots) {
      if (slot.role === "audio" && slot.participant !== undefined) levels.push([slot.participant, slot.level]);
    }
    const own = self();
    if (own !== undefined) levels.push([own, this.#ownLevel]);
    if (this.#speaking.update(levels, performance.now())) this.handlers.speaking(this.speaking);
    void this.#readOwnLevel();
  }

  async #readOwnLevel(): Promise<void> {
    let level = 0;
    for (const report of statsValues(await this.of.voice()?.getStats())) {
      const { type, audioLevel } = report as { type: string; audioLevel?: number };
      if (type === "media-source") level = audioLevel ?? 0;
    }
    this.#ownLevel = level;
  }

  async #look(): Promise<void> {
    const { slots } = this.of;
    const stats = this.#reader.read(await this.#report(), slots.slots);
    if (this.#timers.length === 0) return;
    this.#align(stats);
    this.handlers.stats(stats, this.#quality.update(stats));
  }

  #align(stats: MeetingStats): void {
    const { slots } = this.of;
    const playing = stats.slots.map(({ key, role, participant, jitterBufferMs }) => ({
      key,
      role,
      participant,
      bufferMs: jitterBufferMs,
      delayMs: playoutDelayMs(slots.receiver(key)),
    }));
    for (const { key, targetMs } of this.#lipSync.update(playing)) {
      const receiver = slots.receiver(key) as { jitterBufferTarget?: number | null } | undefined;
      if (receiver && receiver.jitterBufferTarget !== targetMs) receiver.jitterBufferTarget = targetMs;
    }
  }

  async #report(): Promise<Iterable<unknown>> {
    const pc = this.of.pc();
    return pc && pc.connectionState !== "closed" ? statsValues(await pc.getStats()) : [];
  }
}
