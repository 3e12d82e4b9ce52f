// Accessibility violations of a page, by axe-core (MPL-2.0; used here, shipped nowhere).
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const SOURCE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Fails with every rule that is broken and where; best practices count too. */
export async function accessible(page, state) {
  await page.evaluate(`${SOURCE};0`);
  const violations = await page.evaluate(async () => {
    const { violations } = await window.axe.run(document, { resultTypes: ["violations"] });
    return violations.flatMap(({ id, help, nodes }) =>
      nodes.map(({ target, any }) => `${id}: ${help}: ${target.join(" ")} ${any[0]?.message ?? ""}`));
  });
  assert.deepEqual(violations, [], state);
}
