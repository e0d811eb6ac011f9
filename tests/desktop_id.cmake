# Asserts that desktops know the window by one id: the names of the files installed, what they name
# each other, and what the program calls itself. appstreamcli, where there is one, reads the data.
set(packaging ${SOURCE_DIR}/resources/packaging)
set(failures "")

# need(FILE TEXT): the file has the text in it.
function(need file text)
    set(content "")
    if(EXISTS ${file})
        file(READ ${file} content)
    endif()
    string(FIND "${content}" "${text}" place)
    if(place EQUAL -1)
        message(STATUS "${file} lacks: ${text}")
        set(failures "${failures}x" PARENT_SCOPE)
    endif()
endfunction()

file(GLOB metainfo ${packaging}/*.metainfo.xml)
file(READ ${metainfo} content)
string(REGEX MATCH "<id>([A-Za-z0-9.]+)</id>" found "${content}")
set(id ${CMAKE_MATCH_1})
need(${packaging}/${id}.metainfo.xml "<launchable type=\"desktop-id\">${id}.desktop</launchable>")
need(${packaging}/${id}.metainfo.xml "<icon type=\"stock\">${id}</icon>")
need(${packaging}/${id}.desktop "Icon=${id}")
need(${packaging}/${id}.svg "<svg")
need(${packaging}/CMakeLists.txt "set(id ${id})")
need(${SOURCE_DIR}/app/gui/main.cpp "setDesktopFileName(QStringLiteral(\"${id}\"))")

find_program(APPSTREAMCLI appstreamcli)
if(APPSTREAMCLI)
    execute_process(COMMAND ${APPSTREAMCLI} validate --no-net ${metainfo} RESULT_VARIABLE status
                    OUTPUT_VARIABLE said ERROR_VARIABLE said)
    if(NOT status EQUAL 0)
        message(STATUS "${said}")
        set(failures "${failures}x")
    endif()
endif()

if(failures)
    message(FATAL_ERROR "one id for the desktop, see above")
endif()
message(STATUS "1 passed, 0 failed")
