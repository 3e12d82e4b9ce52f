import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defaultClientConditions, defineConfig } from "vite";

// The page is served from the binary at `/` and `/m/<meeting>`, so addresses of assets are absolute. Nothing is inlined:
// the content security policy of the edge allows scripts and styles from itself only.
export default defineConfig({
  base: "/",
  plugins: [svelte()],
  // The SDK from its sources; its package has what `npm run build` makes of them.
  resolve: { conditions: ["mesh-source", ...defaultClientConditions] },
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
  },
});
