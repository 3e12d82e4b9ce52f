import type { SlotRole } from "./generated/SlotRole";
import type { Slot } from "./slots";

/** What a receive slot did over the last interval. */
export interface SlotStats {
  /** The slot's stable name: `audio-0`, `main-0`, `strip-4`, `screen-0`. */
  readonly key: string;
  /** Its m-line. */
  readonly mid: string;
  /** What it is for. */
  readonly role: SlotRole;
  /** Whose voice or picture this is. */
  readonly participant: number | undefined;
  /** The encoding that is shown: `q`, `h`, `f`. */
  readonly rid: string | undefined;
  /** The codec: `opus`, `VP8`. */
  readonly codec: string | undefined;
  /** Received, bit/s, without headers. */
  readonly bitrateBps: number;
  /** Lost packets of the expected ones, 0 to 1. */
  readonly lossRatio: number;
  /** Lost packets since the beginning. */
  readonly packetsLost: number;
  /** What a sample or frame waits in the jitter buffer, ms. */
  readonly jitterBufferMs: number;
  /** What it would wait without a target asked for, ms. */
  readonly jitterBufferMinimumMs: number;
  /** Pictures since the beginning. */
  readonly framesDecoded: number;
  /** Pictures in the last second. */
  readonly framesPerSecond: number;
  /** Width of the picture, pixels. */
  readonly width: number;
  /** Height of the picture, pixels. */
  readonly height: number;
  /** Freezes since the beginning, as the browser counts them. */
  readonly freezeCount: number;
  /** Their length in all, ms. */
  readonly freezeMs: number;
  /** Share of concealed samples of a voice, 0 to 1. */
  readonly concealedRatio: number;
}

/** What an own encoding did over the last interval. */
export interface SendStats {
  /** `audio` or `video`. */
  readonly kind: string;
  /** The m-line. */
  readonly mid: string | undefined;
  /** The encoding: `q`, `h`, `f`; none without simulcast. */
  readonly rid: string | undefined;
  /** The codec: `opus`, `VP8`. */
  readonly codec: string | undefined;
  /** Sent, bit/s, without headers and repetitions. */
  readonly bitrateBps: number;
  /** Packets since the beginning. */
  readonly packetsSent: number;
  /** Lost on the way to the edge, 0 to 1, as the edge reports it. */
  readonly lossRatio: number | undefined;
  /** Width of the picture, pixels. */
  readonly width: number;
  /** Height of the picture, pixels. */
  readonly height: number;
  /** Pictures in the last second. */
  readonly framesPerSecond: number;
  /** What keeps the quality down: `none`, `cpu`, `bandwidth`, `other`. */
  readonly limitedBy: string | undefined;
}

/** One look at the transport. */
export interface MeetingStats {
  /** When, ms since 1970. */
  readonly atMs: number;
  /** To the edge and back, ms. */
  readonly roundTripMs: number | undefined;
  /** Received, bit/s. */
  readonly downBps: number;
  /** Lost packets of all that were expected, 0 to 1. */
  readonly downLossRatio: number;
  /** Sent, bit/s. */
  readonly upBps: number;
  /** What the browser believes it could send, bit/s. */
  readonly availableUpBps: number | undefined;
  /** Each receive slot. */
  readonly slots: readonly SlotStats[];
  /** Each own encoding. */
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
    const byId = new Map(all.map((report) => [report.id, report]));
    const answers = new Map(all.filter((r) => r.type === "remote-inbound-rtp").map((r) => [r["localId"], r]));
    const codecOf = (report: Report | undefined): string | undefined =>
      string(byId.get(String(report?.["codecId"]))?.["mimeType"])?.split("/")[1];
    const slotStats = slots.map((slot) => {
      const report = byMid.get(slot.mid);
      return slotStatsOf(slot, report, before, codecOf(report));
    });
    const sends = all
      .filter((r) => r.type === "outbound-rtp")
      .map((r) => sendStatsOf(r, before.get(r.id), answers.get(r.id), codecOf(r)));
    const sum = (name: string): number =>
      [...byMid.values()].reduce((all, r) => all + Math.max(0, difference(r, before.get(r.id), name)), 0);
    const lost = sum("packetsLost");
    return {
      atMs: all[0]?.timestamp ?? 0,
      roundTripMs: optional(pair, "currentRoundTripTime", 1_000),
      downLossRatio: ratio(lost, sum("packetsReceived") + lost),
      downBps: slotStats.reduce((sum, slot) => sum + slot.bitrateBps, 0),
      upBps: sends.reduce((sum, send) => sum + send.bitrateBps, 0),
      availableUpBps: optional(pair, "availableOutgoingBitrate", 1),
      slots: slotStats,
      sends,
    };
  }
}

function slotStatsOf(
  slot: Slot,
  report: Report | undefined,
  before: Map<string, Report>,
  codec: string | undefined,
): SlotStats {
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
    codec,
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

function sendStatsOf(
  report: Report,
  old: Report | undefined,
  answer: Report | undefined,
  codec: string | undefined,
): SendStats {
  return {
    kind: String(report["kind"]),
    mid: string(report["mid"]),
    rid: string(report["rid"]),
    codec,
    // Probing repeats old packets on the lowest encoding; that says nothing about the picture.
    bitrateBps: Math.max(0, rate(report, old, "bytesSent") - rate(report, old, "retransmittedBytesSent")),
    packetsSent: number(report, "packetsSent"),
    lossRatio: optional(answer, "fractionLost", 1),
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
