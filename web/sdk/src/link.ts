/** What a meeting link and its options say. */
export interface MeetingLink {
  /** The meeting named by the path `/m/<id>`. */
  readonly meeting: string | undefined;
  /** The join token from the fragment `#token=...`: a fragment never reaches a server or its log. */
  readonly token: string | undefined;
  /** Address of the signalling WebSocket. */
  readonly signalUrl: string;
  /** `?name=` */
  readonly name: string | undefined;
  /** `?autojoin=1`: join without asking. */
  readonly autojoin: boolean;
  /** `?simulcast=0`: send one encoding. */
  readonly simulcast: boolean;
  /** `?processing=0`: no echo cancellation, noise suppression or gain control, so that test tones pass. */
  readonly processing: boolean;
  /** `?maxBitrate=`: most to receive, bit/s. */
  readonly maxBitrateBps: number | undefined;
  /** `?preview=0`: the form opens no microphone and no camera. */
  readonly preview: boolean;
  /** `?audio=0`: join without a microphone. */
  readonly audio: boolean;
  /** `?video=0`: join without a camera. */
  readonly video: boolean;
}

/** Path of the signalling WebSocket on an edge. */
export const SIGNAL_PATH = "/v1/signal";

/** Address of the signalling WebSocket of an edge that is known as `http(s)://host:port`. */
export function signalUrlOf(origin: string): string {
  const url = new URL(SIGNAL_PATH, origin);
  url.protocol = url.protocol === "https:" || url.protocol === "wss:" ? "wss:" : "ws:";
  return url.href;
}

/** Reads the address of the page: `/m/<meeting>?options#token=<jwt>`. `?edge=http://host:port` names another edge. */
export function parseMeetingLink(href: string): MeetingLink {
  const url = new URL(href);
  const query = url.searchParams;
  const fragment = new URLSearchParams(url.hash.slice(1));
  const meeting = /^\/m\/([0-9a-zA-Z]+)\/?$/.exec(url.pathname)?.[1];
  return {
    meeting: meeting?.toLowerCase(),
    token: text(fragment.get("token")),
    signalUrl: signalUrlOf(text(query.get("edge")) ?? url.origin),
    name: text(query.get("name")),
    autojoin: query.get("autojoin") === "1",
    simulcast: query.get("simulcast") !== "0",
    processing: query.get("processing") !== "0",
    maxBitrateBps: positive(query.get("maxBitrate")),
    preview: query.get("preview") !== "0",
    audio: query.get("audio") !== "0",
    video: query.get("video") !== "0",
  };
}

function text(value: string | null): string | undefined {
  const trimmed = value?.trim();
  return trimmed ? trimmed : undefined;
}

function positive(value: string | null): number | undefined {
  const number = Number(value);
  return Number.isInteger(number) && number > 0 && number < 2 ** 32 ? number : undefined;
}
