import type { Backoff } from "./backoff";
import type { MeshError } from "./errors";
import type { KnockerJson } from "./generated/KnockerJson";
import type { MemberJson } from "./generated/MemberJson";
import type { MemberRoleJson } from "./generated/MemberRoleJson";
import type { TrackKindJson } from "./generated/TrackKindJson";
import type { Peer, PeerOptions } from "./peer";
import type { Devices } from "./publisher";
import type { Qualities } from "./quality";
import type { OpenSocket } from "./signalling";
import type { Slot } from "./slots";
import type { MeetingStats } from "./stats";

/** How the connection is. `waiting`: back again, but a host must let us in first. `ended` is final. */
export type MeetingState = "connecting" | "connected" | "reconnecting" | "waiting" | "ended";

/** How the meeting is set, for everybody. */
export interface MeetingSettings {
  /** Nobody else may join. */
  readonly locked: boolean;
  /** Who joins must be admitted. */
  readonly waitingRoom: boolean;
  /** Only hosts may write. */
  readonly chatLocked: boolean;
  /** Whose screen stays in the screen slot, whatever is shared later. */
  readonly pinnedShare: number | undefined;
}

/** Who waits to be let in; hosts are told. */
export interface Knocking {
  /** Those who wait longest. */
  readonly people: readonly KnockerJson[];
  /** How many there are in all. */
  readonly total: number;
}

/** Part of the roster, see {@link Meeting.rosterPage}. */
export interface RosterPage {
  /** By id. */
  readonly members: readonly MemberJson[];
  /** Where the next page begins; none: this was the last. */
  readonly next: number | undefined;
}

/** Something that was written. */
export interface ChatMessage {
  /** Names the message. */
  readonly key: number;
  /** When the meeting had it, ms since the Unix epoch; when it was written here, as long as it is pending. */
  readonly atMs: number;
  /** Short id of who wrote it. */
  readonly from: number;
  /** Their name then. */
  readonly name: string;
  /** To whom alone; none: to everybody. */
  readonly to: number | undefined;
  /** Plain text. */
  readonly text: string;
  /** Whether it was written here. */
  readonly own: boolean;
  /** Whether it is still on its way. */
  readonly pending: boolean;
}

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
    /** The host who did it, where it was not oneself. */
    readonly by?: number | undefined;
  };
  /** Something was written, or came back: all of it, see {@link Meeting.chat}. */
  chat: readonly ChatMessage[];
  /** The own hand went up or down, by oneself or by a host. */
  hand: boolean;
  /** The own role is another now. */
  role: MemberRoleJson;
  /** The meeting is set otherwise. */
  settings: MeetingSettings;
  /** Somebody waits to be let in, or was. For hosts. */
  knocking: Knocking;
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
