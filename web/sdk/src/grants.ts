/** What a join token lets its bearer do. */
export interface Grants {
  /** Send microphone, camera and screen. */
  readonly publish: boolean;
  /** See and hear others. */
  readonly subscribe: boolean;
  /** Write. */
  readonly chat: boolean;
  /** Lead the meeting. */
  readonly host: boolean;
}

/** What is assumed of a token that cannot be read here: the edge says no in time. */
const UNKNOWN: Grants = { publish: true, subscribe: true, chat: true, host: false };

/** Reads what a join token grants. The signature is the edge's to check: this is for what to show and to ask for. */
export function grantsOf(token: string): Grants {
  try {
    const body = (token.split(".")[1] ?? "").replace(/-/g, "+").replace(/_/g, "/");
    const { grants } = JSON.parse(atob(body)) as { grants?: Partial<Record<keyof Grants, unknown>> };
    if (typeof grants !== "object" || grants === null) return UNKNOWN;
    const { publish, subscribe, chat, host } = grants;
    return { publish: publish === true, subscribe: subscribe === true, chat: chat === true, host: host === true };
  } catch {
    return UNKNOWN;
  }
}
