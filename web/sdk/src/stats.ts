import type { SlotRole } from "./generated/SlotRole";
import type { Slot } from "./slots";

/** What a receive slot did over the last interval. */
export interface SlotStats {
  readonly key: string;
  readonly mid: string;
  readonly role: SlotRole;
  readonly participant: number | undefined;
  readonly rid: string | undefined;
  readonly bitrateBps: number;
  /** Lost packets of the expected ones, 0 to 1. */
  readonly lossRatio: number;
  readonly packetsLost: number;
  /** What a sample or frame waits in the jitter buffer, ms. */
  readonly jitterBufferMs: number;
  /** What it would wait without a target asked for, ms. */
  readonly jitterBufferMinimumMs: number;
  readonly framesDecoded: number;
  readonly framesPerSecond: number;
  readonly width: number;
  readonly height: number;
  readonly freezeCount: number;
  readonly freezeMs: number;
  /** Share of concealed samples of a voice, 0 to 1. */
  readonly concealedRatio: number;
}

/** What an own encoding did over the last interval. */
export interface SendStats {
  readonly kind: string;
  readonly mid: string | undefined;
  readonly rid: string | undefined;
  readonly bitrateBps: number;
  readonly packetsSent: number;
  readonly width: number;
  readonly height: number;
  readonly framesPerSecond: number;
  readonly limitedBy: string | undefined;
}

/** One look at the transport. */
export interface MeetingStats {
  readonly atMs: number;
  readonly roundTripMs: number | undefined;
  readonly downBps: number;
  readonly upBps: number;
  readonly availableUpBps: number | undefined;
  readonly slots: readonly SlotStats[];
  readonly sends: readonly SendStats[];
}

type Report = Record<string, unknown> & { id: string; type: string; timestamp: number };

/** Turns the counters of `getStats` into rates between two looks. */
export class StatsReader {
  #before = new Map<string, Report>();

  /** Reads a report. The first look gives rates of 0. */
  read(reports: Iterable<unknown>, slots: readonly Slot[]): MeetingStats {
    const all = [...reports] as Report[];
    const before = this.#before;
    this.#before = new Map(all.map((report) => [report.id, report]));
    const byMid = new Map(all.filter((r) => r.type === "inbound-rtp").map((r) => [r["mid"], r]));
    const pair = all.find((r) => r.type === "candidate-pair" && r["nominated"] === true && r["state"] === "succeeded");
    const slotStats = slots.map((slot) => slotStatsOf(slot, byMid.get(slot.mid), before));
    const sends = all.filter((r) => r.type === "outbound-rtp").map((r) => sendStatsOf(r, before.get(r.id)));
    return {
      atMs: all[0]?.timestamp ?? 0,
      roundTripMs: optional(pair, "currentRoundTripTime", 1_000),
      downBps: slotStats.reduce((sum, slot) => sum + slot.bitrateBps, 0),
      upBps: sends.reduce((sum, send) => sum + send.bitrateBps, 0),
      availableUpBps: optional(pair, "availableOutgoingBitrate", 1),
      slots: slotStats,
      sends,
    };
  }
}

function slotStatsOf(slot: Slot, report: Report | undefined, before: Map<string, Report>): SlotStats {
  const old = report && before.get(report.id);
  const delta = (name: string): number => difference(report, old, name);
  const received = delta("packetsReceived");
  const lost = Math.max(0, delta("packetsLost"));
  const emitted = delta("jitterBufferEmittedCount");
  return {
    key: slot.key,
    mid: slot.mid,
    role: slot.role,
    participant: slot.participant,
    rid: slot.rid,
    bitrateBps: rate(report, old, "bytesReceived"),
    lossRatio: ratio(lost, received + lost),
    packetsLost: number(report, "packetsLost"),
    jitterBufferMs: ratio(delta("jitterBufferDelay"), emitted) * 1_000,
    jitterBufferMinimumMs: ratio(delta("jitterBufferMinimumDelay"), emitted) * 1_000,
    framesDecoded: number(report, "framesDecoded"),
    framesPerSecond: number(report, "framesPerSecond"),
    width: number(report, "frameWidth"),
    height: number(report, "frameHeight"),
    freezeCount: number(report, "freezeCount"),
    freezeMs: number(report, "totalFreezesDuration") * 1_000,
    concealedRatio: ratio(delta("concealedSamples"), delta("totalSamplesReceived")),
  };
}

function sendStatsOf(report: Report, old: Report | undefined): SendStats {
  return {
    kind: String(report["kind"]),
    mid: string(report["mid"]),
    rid: string(report["rid"]),
    // Probing repeats old packets on the lowest encoding; that says nothing about the picture.
    bitrateBps: Math.max(0, rate(report, old, "bytesSent") - rate(report, old, "retransmittedBytesSent")),
    packetsSent: number(report, "packetsSent"),
    width: number(report, "frameWidth"),
    height: number(report, "frameHeight"),
    framesPerSecond: number(report, "framesPerSecond"),
    limitedBy: string(report["qualityLimitationReason"]),
  };
}

function number(report: Report | undefined, name: string): number {
  const value = report?.[name];
  return typeof value === "number" ? value : 0;
}

function optional(report: Report | undefined, name: string, factor: number): number | undefined {
  const value = report?.[name];
  return typeof value === "number" ? value * factor : undefined;
}

function string(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function difference(report: Report | undefined, old: Report | undefined, name: string): number {
  return old ? number(report, name) - number(old, name) : 0;
}

function rate(report: Report | undefined, old: Report | undefined, bytes: string): number {
  if (!report || !old) return 0;
  return ratio(difference(report, old, bytes) * 8 * 1_000, report.timestamp - old.timestamp);
}

function ratio(part: number, whole: number): number {
  return whole > 0 ? part / whole : 0;
}
