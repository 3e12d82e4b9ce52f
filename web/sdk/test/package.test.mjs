// The package as others get it: packed, installed elsewhere, imported by node, its types read by a strict compiler.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
let folder;

const run = (command, args, cwd) => execFileSync(command, args, { cwd, encoding: "utf8" });

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "mesh-sdk-"));
  run("npm", ["pack", "--silent", "--pack-destination", folder], root);
  const packed = readdirSync(folder).find((name) => name.endsWith(".tgz")) ?? "nothing was packed";
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "guest", private: true, type: "module" }));
  run("npm", ["install", "--offline", "--no-audit", "--no-fund", "--silent", `./${packed}`], folder);
}, 120_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("the package", () => {
  it("has no dependency, and only what is meant to be in it", () => {
    const installed = join(folder, "node_modules/@mesh/sdk");
    const manifest = JSON.parse(readFileSync(join(installed, "package.json"), "utf8"));
    expect(manifest.dependencies).toBeUndefined();
    expect(readdirSync(installed).sort()).toEqual(["README.md", "dist", "examples", "package.json"]);
    expect(readdirSync(join(folder, "node_modules")).filter((name) => !name.startsWith("."))).toEqual(["@mesh"]);
  });

  it("is imported by node as it is", () => {
    const code = "import { Mesh, Preview, signalUrlOf } from '@mesh/sdk'; console.log(typeof Mesh.join, typeof Preview, signalUrlOf('http://a:1'))";
    expect(run(process.execPath, ["--input-type=module", "-e", code], folder).trim()).toBe("function function ws://a:1/v1/signal");
  });

  it("gives a strict compiler its types", () => {
    writeFileSync(
      join(folder, "guest.ts"),
      `import { Mesh, MeshError, type Meeting, type Slot } from "@mesh/sdk";
       const meeting: Meeting = await Mesh.join({ url: "wss://a", token: "t" });
       meeting.on("slots", (slots: readonly Slot[]) => slots.map(({ role }) => role satisfies "audio" | "main" | "strip" | "screen"));
       meeting.on("error", (error: MeshError) => error.retryable satisfies boolean);
       // @ts-expect-error: there is no such event
       meeting.on("nonsense", () => {});`,
    );
    const options = {
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
      target: ts.ScriptTarget.ES2022,
      lib: ["lib.es2022.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts"],
      types: [],
      strict: true,
      noEmit: true,
    };
    const program = ts.createProgram([join(folder, "guest.ts")], options);
    const said = ts.getPreEmitDiagnostics(program).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"));
    expect(said).toEqual([]);
  }, 60_000);

  it("documents every exported name and every member of it", () => {
    const entry = join(root, "src/index.ts");
    const program = ts.createProgram([entry], { module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler });
    const checker = program.getTypeChecker();
    const source = program.getSourceFile(entry);
    const module = source && checker.getSymbolAtLocation(source);
    const silent = [];
    for (const exported of module ? checker.getExportsOfModule(module) : []) {
      const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
      const documented = (one) => one.getDocumentationComment(checker).length > 0;
      if (!documented(symbol)) silent.push(exported.name);
      for (const [name, member] of symbol.members ?? []) {
        const declared = member.declarations?.[0];
        if (!declared || String(name).startsWith("__") || ts.isTypeParameterDeclaration(declared)) continue;
        const hidden = ts.getCombinedModifierFlags(declared) & (ts.ModifierFlags.Private | ts.ModifierFlags.Protected | ts.ModifierFlags.Override);
        const own = "name" in declared && ts.isPrivateIdentifier(declared.name);
        if (!hidden && !own && !documented(member)) silent.push(`${exported.name}.${name}`);
      }
    }
    expect(silent).toEqual([]);
  }, 60_000);
});
