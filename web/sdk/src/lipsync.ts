import type { SlotStats } from "./stats";

/** A difference this small is left alone, ms: nobody sees 20 ms, and every change of a target stretches sound. */
export const SKEW_IGNORED_MS = 20;
/** Longest target that is asked for, ms: later than this, talking to each other ends. */
export const TARGET_MAX_MS = 400;
/** Targets are whole steps of this, ms, so that they do not change with every measurement. */
export const TARGET_STEP_MS = 10;

/** A jitter-buffer target for a slot; `null` gives the choice back to the browser. */
export interface Target {
  readonly key: string;
  readonly targetMs: number | null;
}

/**
 * The jitter-buffer targets that make a person's voice and picture wait equally long. The browser aligns only streams of
 * one MediaStream, and people move through slots, so this is done here: both get the larger of what each needs alone.
 */
export function equalised(slots: readonly SlotStats[]): Target[] {
  const targets: Target[] = [];
  for (const slot of slots) {
    const partners = slots.filter((other) => belongsWith(slot, other));
    const own = needMs(slot);
    const most = Math.max(own, ...partners.map(needMs));
    const least = Math.min(own, ...partners.map(needMs));
    const aligned = partners.length > 0 && most - least > SKEW_IGNORED_MS;
    const stepped = Math.ceil(most / TARGET_STEP_MS) * TARGET_STEP_MS;
    targets.push({ key: slot.key, targetMs: aligned ? Math.min(TARGET_MAX_MS, stepped) : null });
  }
  return targets;
}

/** Voice and picture of one person. A shared screen has no lips. */
function belongsWith(slot: SlotStats, other: SlotStats): boolean {
  if (slot.participant === undefined || slot.participant !== other.participant) return false;
  const voice = (role: SlotStats["role"]): boolean => role === "audio";
  const picture = (role: SlotStats["role"]): boolean => role === "main" || role === "strip";
  return (voice(slot.role) && picture(other.role)) || (picture(slot.role) && voice(other.role));
}

/** What a slot needs without a target; measured without one where the browser does not tell. */
function needMs(slot: SlotStats): number {
  return slot.jitterBufferMinimumMs > 0 ? slot.jitterBufferMinimumMs : slot.jitterBufferMs;
}
