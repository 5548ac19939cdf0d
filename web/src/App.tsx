import { useEffect } from 'preact/hooks';
import { HomePage } from './home/HomePage';
import { LogsPage } from './logs/LogsPage';
import { Empty } from './parts/states';
import { address } from './router';
import { parseRoute, type Route } from './routes';
import { SearchPage } from './search/SearchPage';
import { Shell } from './shell/Shell';
import { TracePage } from './trace/TracePage';

const TITLES: Record<Route['page'], string> = {
  home: 'Home',
  search: 'Search',
  logs: 'Logs',
  trace: 'Trace',
  unknown: 'Not found',
};

function Page({ route }: { route: Route }) {
  switch (route.page) {
    case 'home':
      return <HomePage />;
    case 'search':
      return <SearchPage />;
    case 'logs':
      return <LogsPage />;
    case 'trace':
      return <TracePage key={route.traceId} traceId={route.traceId} />;
    case 'unknown':
      return (
        <Empty title="There is no such page">
          <p class="state-text">
            <code>{route.path}</code> is not a page of Carafe.
          </p>
          <a class="button" href="/search">
            Search traces
          </a>
        </Empty>
      );
  }
}

export function App() {
  const route = parseRoute(address.value.path);
  useEffect(() => {
    const detail = route.page === 'trace' ? ` ${route.traceId.slice(0, 7)}` : '';
    document.title = `${TITLES[route.page]}${detail} · Carafe`;
  }, [route.page, address.value.path]);
  return (
    <Shell page={route.page}>
      <Page route={route} />
    </Shell>
  );
}
