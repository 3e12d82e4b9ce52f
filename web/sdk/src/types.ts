import type { Backoff } from "./backoff";
import type { MeshError } from "./errors";
import type { MemberJson } from "./generated/MemberJson";
import type { TrackKindJson } from "./generated/TrackKindJson";
import type { Peer, PeerOptions } from "./peer";
import type { Devices } from "./publisher";
import type { Qualities } from "./quality";
import type { OpenSocket } from "./signalling";
import type { Slot } from "./slots";
import type { MeetingStats } from "./stats";

/** How the connection is. `ended` is final. */
export type MeetingState = "connecting" | "connected" | "reconnecting" | "ended";

/** Who has the floor. */
export interface Floor {
  /** Holder of the main picture. */
  readonly main: number | undefined;
  /** Most recent speakers, newest first. */
  readonly recent: readonly number[];
}

/** What to show. What is left out is the server's choice. */
export interface Layout {
  /** Keep this participant in the main picture. */
  readonly pin?: number | undefined;
  /** How many strip pictures to fill. What is not visible should not be asked for. */
  readonly strip?: number | undefined;
  /** Most to receive, bit/s. */
  readonly maxBitrateBps?: number | undefined;
}

/** A join that is tried again. */
export interface Reconnection {
  /** 1 for the first try. */
  readonly attempt: number;
  /** How long until it is made, ms. */
  readonly inMs: number;
  /** What went wrong. */
  readonly error: MeshError;
}

/** The events of a {@link Meeting} and what they carry. */
export interface MeetingEvents {
  /** Somebody came, went, or is muted: everybody, oneself included. */
  roster: readonly MemberJson[];
  /** Somebody else has the main picture. */
  floor: Floor;
  /** Somebody else is in a slot, or there are more slots. */
  slots: readonly Slot[];
  /** Ids of those who speak just now, oneself included. */
  speaking: readonly number[];
  /** An own source was muted or unmuted, by whatever. */
  muted: {
    /** Which source. */
    readonly kind: TrackKindJson;
    /** Whether it sends nothing now. */
    readonly muted: boolean;
  };
  /** The connection. */
  state: MeetingState;
  /** A lost connection: another join is about to be tried. */
  reconnecting: Reconnection;
  /** Rates, losses and delays of the last second. */
  stats: MeetingStats;
  /** How good the connections are, once a second. */
  quality: Qualities;
  /** Something was refused or went wrong. The meeting goes on, unless `ended` follows. */
  error: MeshError;
  /** It is over. */
  ended: {
    /** Why, in a sentence. */
    readonly reason: string;
  };
}

/** What tests replace: the edge of WebRTC, sockets and devices. */
export interface MeetingParts {
  /** Makes the peer connection. */
  readonly newPeer?: ((options: PeerOptions) => Peer) | undefined;
  /** Opens a WebSocket. */
  readonly openSocket?: OpenSocket | undefined;
  /** Microphone, camera and screen. */
  readonly devices?: Devices | undefined;
  /** Makes an empty stream. */
  readonly newStream?: (() => MediaStream) | undefined;
  /** When to try again. */
  readonly backoff?: Backoff | undefined;
}
