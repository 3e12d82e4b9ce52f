/** How many receive-only lines to offer. */
export interface SlotCounts {
  /** Voices. */
  readonly audio: number;
  /** Pictures: the first is the main one, the others are the strip. */
  readonly video: number;
  /** Shared screens. */
  readonly screen: number;
}

/** The three loudest other voices, the main picture with 12 small ones, one screen. */
export const SLOTS_DEFAULT: SlotCounts = { audio: 3, video: 13, screen: 1 };

/** Lines the edge answers at most. */
export const SLOTS_MAX = 60;

/**
 * What to publish from the start: `false` nothing, `true` the default device, constraints of one's own, or a track that is
 * open already, such as a {@link Preview}'s. The meeting stops the tracks it was given.
 */
export interface MediaOptions {
  /** The microphone. Default: `true`. */
  readonly audio?: boolean | MediaTrackConstraints | MediaStreamTrack | undefined;
  /** The camera. Default: `true`. */
  readonly video?: boolean | MediaTrackConstraints | MediaStreamTrack | undefined;
  /** How a source is opened that was not asked for from the start, or that is opened again. */
  readonly later?: { readonly mic?: MediaTrackConstraints; readonly camera?: MediaTrackConstraints } | undefined;
}

/** What {@link Mesh.join} takes. */
export interface JoinOptions {
  /** Signalling WebSocket of an edge: `ws(s)://host:port/v1/signal`. */
  readonly url: string;
  /** Join token (JWT): names the meeting and the grants. */
  readonly token: string;
  /** Display name; the token's name wins where it has one. */
  readonly name?: string | undefined;
  /** What to publish from the start. Default: the default microphone and camera. */
  readonly media?: MediaOptions | undefined;
  /** How many receive slots to offer. Default: {@link SLOTS_DEFAULT}. */
  readonly slots?: Partial<SlotCounts> | undefined;
  /** Send three encodings (q, h, f) or one. Default: three. */
  readonly simulcast?: boolean | undefined;
  /** Most to receive, bit/s. */
  readonly maxBitrateBps?: number | undefined;
  /** Whether to publish at all; an attendee does not, and is asked for no device. Default: what the token grants. */
  readonly publish?: boolean | undefined;
  /** Called when a host must let us in first; the join then waits for as long as that takes. */
  readonly onWaiting?: (() => void) | undefined;
  /** Gives up the join, also one that waits. */
  readonly signal?: AbortSignal | undefined;
  /** Gives up a join that is not answered after this long, ms. Default 15 s. */
  readonly timeoutMs?: number | undefined;
}

/** A join is given up after this long, ms: P95 of a join is 1.5 s, a storm of 1,000 takes 15 s. */
export const JOIN_TIMEOUT_MS = 15_000;

/** What is asked of a camera where the caller says `true`. */
export const CAMERA_DEFAULT: MediaTrackConstraints = {
  width: { ideal: 1280 },
  height: { ideal: 720 },
  frameRate: { ideal: 30, max: 30 },
};
