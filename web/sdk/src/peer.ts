import { restrict, withStartRate } from "./codecs";
import { fitEncodings, SCREEN, SIMULCAST, SINGLE } from "./encodings";
import type { PublishLine } from "./generated/PublishLine";
import type { TrackKindJson } from "./generated/TrackKindJson";
import type { SlotCounts } from "./options";

/** How the peer is set up. */
export interface PeerOptions {
  readonly slots: SlotCounts;
  readonly simulcast: boolean;
  /** Whether there are sources of one's own; an attendee has receive slots only. */
  readonly publish: boolean;
  /** The stream that own tracks are announced in. */
  readonly localStream: MediaStream;
}

/**
 * The one RTCPeerConnection of a participant: microphone, camera, then receive-only slots. What comes later stands at the end: a
 * screen when it is first shared, the sources of an attendee who was promoted. Candidates of the edge stand in its answer; the edge learns ours from the checks.
 */
export class Peer {
  readonly pc: RTCPeerConnection;
  readonly #senders = new Map<TrackKindJson, RTCRtpTransceiver>();
  readonly #localStream: MediaStream;

  constructor(options: PeerOptions) {
    this.#localStream = options.localStream;
    this.pc = new RTCPeerConnection({ bundlePolicy: "max-bundle", rtcpMuxPolicy: "require" });
    if (options.publish) this.#addSources(options.simulcast ? SIMULCAST : SINGLE);
    this.addSlots("audio", options.slots.audio);
    this.addSlots("video", options.slots.video + options.slots.screen);
  }

  /** Adds receive-only lines; they count from the next offer on. */
  addSlots(kind: "audio" | "video", count: number): void {
    for (let i = 0; i < count; i += 1) {
      restrict(this.pc.addTransceiver(kind, { direction: "recvonly" }), kind);
    }
  }

  /**
   * Makes lines for microphone and camera ready; they count from the next offer on. Returns whether there were none. The camera has
   * one encoding then: Chromium refuses its own offer of a simulcast line that comes after an answer without the RID extension, and the
   * edge answers receive-only lines without it.
   */
  prepareSources(): boolean {
    if (this.#senders.has("mic")) return false;
    this.#addSources(SINGLE);
    return true;
  }

  /** Makes a screen line ready; it counts from the next offer on. Returns whether a new offer is needed. */
  prepareScreen(): boolean {
    if (this.#senders.has("screen")) return false;
    this.#addSender("screen", "video", SCREEN);
    return true;
  }

  /** Sends a track of a kind, or nothing: without a track no packet goes out. */
  async publish(kind: TrackKindJson, track: MediaStreamTrack | null): Promise<void> {
    const sender = this.#senders.get(kind)?.sender;
    await sender?.replaceTrack(track);
    if (sender && track && kind === "camera") await fitEncodings(sender, track);
  }

  /** The sender of a kind. */
  sender(kind: TrackKindJson): RTCRtpSender | undefined {
    return this.#senders.get(kind)?.sender;
  }

  /** The receiver of an m-line. */
  receiver(mid: string): RTCRtpReceiver | undefined {
    return this.pc.getTransceivers().find((transceiver) => transceiver.mid === mid)?.receiver;
  }

  /** Makes an offer and applies it here. */
  async offer(options: { restart?: boolean } = {}): Promise<string> {
    const offer = await this.pc.createOffer({ iceRestart: options.restart === true });
    await this.pc.setLocalDescription(offer);
    return this.pc.localDescription?.sdp ?? "";
  }

  /** Applies the edge's answer. */
  async accept(sdp: string): Promise<void> {
    await this.pc.setRemoteDescription({ type: "answer", sdp: withStartRate(sdp) });
  }

  /** Takes back an offer that was refused. */
  async rollback(): Promise<void> {
    if (this.pc.signalingState === "have-local-offer") await this.pc.setLocalDescription({ type: "rollback" });
  }

  /** What the own lines carry; valid once there was an offer. */
  publishLines(): PublishLine[] {
    const lines: PublishLine[] = [];
    for (const [kind, { mid }] of this.#senders) {
      if (mid !== null) lines.push({ mid, kind });
    }
    return lines;
  }

  close(): void {
    this.pc.onconnectionstatechange = null;
    this.pc.close();
  }

  #addSources(camera: readonly RTCRtpEncodingParameters[]): void {
    this.#addSender("mic", "audio");
    this.#addSender("camera", "video", camera);
  }

  #addSender(kind: TrackKindJson, media: "audio" | "video", encodings: readonly RTCRtpEncodingParameters[] = []): void {
    const transceiver = this.pc.addTransceiver(media, {
      direction: "sendonly",
      streams: [this.#localStream],
      sendEncodings: encodings.map((encoding) => ({ ...encoding })),
    });
    restrict(transceiver, media);
    this.#senders.set(kind, transceiver);
  }
}
