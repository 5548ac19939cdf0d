"""mysqlclient (MySQLdb), whose cursors are Python classes: their methods are replaced."""

from carafe_engine.instrument import dbapi, patches, pymysql

_patches = patches.Patches()


def instrument(module):
    driver = dbapi.driver("mysqlclient", "mysql", "connection", pymysql.describe)
    pymysql.wrap(module.BaseCursor, driver, _patches)


def uninstrument():
    _patches.undo()
