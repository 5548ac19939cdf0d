/** Inline icons: 16 px, drawn with the text's colour, hidden from screen readers. */
import type { ComponentChildren, JSX } from 'preact';

function icon(children: ComponentChildren): () => JSX.Element {
  return () => (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
      {children}
    </svg>
  );
}

export const LogoIcon = () => (
  <svg class="logo" viewBox="0 0 32 32" aria-hidden="true">
    <path
      class="logo-glass"
      d="M12 6h8M13.5 6v5.5L9 21.5A3 3 0 0 0 11.8 26h8.4a3 3 0 0 0 2.8-4.5l-4.5-10V6"
    />
    <path
      class="logo-water"
      d="M11.3 19h9.4l1.6 3.3a1.6 1.6 0 0 1-1.4 2.2h-9.8a1.6 1.6 0 0 1-1.4-2.2z"
    />
  </svg>
);

export const SearchIcon = icon(
  <path d="M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM10.5 10.5 14 14" />,
);
export const SunIcon = icon(
  <>
    <circle cx="8" cy="8" r="2.8" />
    <path d="M8 1.5v1.7M8 12.8v1.7M1.5 8h1.7M12.8 8h1.7M3.4 3.4l1.2 1.2M11.4 11.4l1.2 1.2M3.4 12.6l1.2-1.2M11.4 4.6l1.2-1.2" />
  </>,
);
export const MoonIcon = icon(<path d="M13.5 9.8A6 6 0 0 1 6.2 2.5a6 6 0 1 0 7.3 7.3z" />);
export const SystemIcon = icon(
  <>
    <rect x="2" y="3" width="12" height="8" rx="1" />
    <path d="M5.5 13.5h5M8 11v2.5" />
  </>,
);
export const ChevronIcon = icon(<path d="m6 4 4 4-4 4" />);
export const CloseIcon = icon(<path d="m4 4 8 8M12 4l-8 8" />);
export const CopyIcon = icon(
  <>
    <rect x="5.5" y="5.5" width="8" height="8" rx="1" />
    <path d="M10.5 3.5v-1h-8v8h1" />
  </>,
);
export const CheckIcon = icon(<path d="m3 8.5 3.2 3.2L13 4.8" />);
export const DownloadIcon = icon(<path d="M8 2v8M4.8 7 8 10.2 11.2 7M2.5 13.5h11" />);
export const FilterIcon = icon(<path d="M2 3.5h12L9.5 8.6v4.4l-3-1.5V8.6z" />);
export const HelpIcon = icon(
  <>
    <circle cx="8" cy="8" r="6" />
    <path d="M6.2 6.3a1.8 1.8 0 1 1 2.6 1.6c-.6.3-.8.6-.8 1.3M8 11.3v.2" />
  </>,
);
export const ErrorIcon = () => (
  <svg class="icon icon-error" viewBox="0 0 16 16" role="img" aria-label="error">
    <path d="M8 1.8 15 14H1z" />
    <path class="icon-mark" d="M8 6.2v3.6M8 11.6v.4" />
  </svg>
);
