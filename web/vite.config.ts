import { defineConfig } from 'vitest/config';

// A server to develop against: `CARAFE_URL=http://localhost:16686 npm run dev`.
const backend = process.env.CARAFE_URL ?? 'http://localhost:16686';

export default defineConfig({
  build: {
    target: 'es2022',
    // The content security policy allows no data: scripts, styles or fonts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // The licences of what is bundled travel with it: /licenses.md on every Carafe.
    license: { fileName: 'licenses.md' },
  },
  server: { proxy: { '/api': backend } },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
});
