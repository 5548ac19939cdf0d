/** Browser and server of the end-to-end tests: the mock, or a real Carafe named by BASE_URL. */
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import type { Fixture } from '../mock/fixtures';
import { sendOtlp } from '../mock/otlp';
import { MockServer } from '../mock/server';

const EXECUTABLES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

export interface Stage {
  base: string;
  /** Null when a real server is tested. */
  mock: MockServer | null;
  browser: Browser;
  /** Gives data to the server, as an app would. */
  ingest: (fixture: Fixture) => Promise<void>;
  /** A new browser window that notes everything that went wrong in it. */
  open: (
    path: string,
    options?: { theme?: 'light' | 'dark'; width?: number; height?: number },
  ) => Promise<Visit>;
  close: () => Promise<void>;
}

export interface Visit {
  page: Page;
  context: BrowserContext;
  /** Console errors, exceptions and violations of the content policy. */
  problems: string[];
}

async function executable(): Promise<string> {
  const { existsSync } = await import('node:fs');
  const named = process.env.CHROMIUM;
  const found = named ?? EXECUTABLES.find((path) => existsSync(path));
  if (found === undefined) throw new Error('no Chromium: install it, or name it with CHROMIUM');
  return found;
}

export async function openStage(): Promise<Stage> {
  const real = process.env.SERVER_URL?.replace(/\/$/, '') || undefined;
  const otlp = process.env.OTLP_URL ?? 'http://localhost:4318';
  const mock = real === undefined ? new MockServer() : null;
  const base = mock === null ? (real ?? '') : await mock.start();
  const browser = await chromium.launch({
    executablePath: await executable(),
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--no-first-run',
    ],
  });

  return {
    base,
    mock,
    browser,
    ingest: async (fixture) => {
      if (mock === null) await sendOtlp(otlp, fixture);
      else mock.add(fixture);
    },
    open: async (path, { theme = 'light', width = 1440, height = 900 } = {}) => {
      const context = await browser.newContext({
        viewport: { width, height },
        colorScheme: theme,
        timezoneId: 'Europe/Berlin',
        locale: 'en-GB',
      });
      const page = await context.newPage();
      const problems: string[] = [];
      page.on('console', (message) => {
        if (message.type() === 'error') problems.push(message.text());
      });
      page.on('pageerror', (error) => problems.push(error.message));
      await page.goto(base + path);
      return { page, context, problems };
    },
    close: async () => {
      await browser.close();
      await mock?.stop();
    },
  };
}
