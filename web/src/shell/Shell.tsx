import type { ComponentChildren } from 'preact';
import { HelpIcon, LogoIcon, MoonIcon, SunIcon, SystemIcon } from '../parts/icons';
import type { Route } from '../routes';
import { themeChoice } from '../state/preferences';
import { nextTheme } from '../state/theme';
import { HelpDialog } from './HelpDialog';
import { LiveToggle } from './LiveToggle';
import { helpOpen } from './shortcuts';
import { TraceJump } from './TraceJump';
import './shell.css';

const PAGES: { page: Route['page']; href: string; label: string }[] = [
  { page: 'home', href: '/', label: 'Home' },
  { page: 'search', href: '/search', label: 'Search' },
  { page: 'logs', href: '/logs', label: 'Logs' },
];

const THEME_ICONS = { system: SystemIcon, light: SunIcon, dark: MoonIcon };

function ThemeSwitch() {
  const choice = themeChoice.value;
  const Icon = THEME_ICONS[choice];
  return (
    <button
      type="button"
      class="icon-button"
      onClick={nextTheme}
      aria-label={`Theme: ${choice}. Change`}
      title={`Theme: ${choice}`}
    >
      <Icon />
    </button>
  );
}

export function Shell({ page, children }: { page: Route['page']; children: ComponentChildren }) {
  return (
    <>
      <a class="skip-link" href="#main">
        Skip to content
      </a>
      <header class="topbar">
        <a class="brand" href="/" aria-label="Carafe, home">
          <LogoIcon />
          <span>Carafe</span>
        </a>
        <nav class="nav" aria-label="Main">
          {PAGES.map((entry) => (
            <a
              key={entry.page}
              href={entry.href}
              aria-current={entry.page === page ? 'page' : undefined}
            >
              {entry.label}
            </a>
          ))}
        </nav>
        <TraceJump />
        <LiveToggle />
        <ThemeSwitch />
        <button
          type="button"
          class="icon-button"
          aria-label="Keyboard help"
          title="Keyboard help (?)"
          onClick={() => {
            helpOpen.value = true;
          }}
        >
          <HelpIcon />
        </button>
      </header>
      <main id="main" class={`page page-${page}`} tabIndex={-1}>
        {children}
      </main>
      <HelpDialog />
    </>
  );
}
